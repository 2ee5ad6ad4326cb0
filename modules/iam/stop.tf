locals {
  # No access to table and bucket: the function only stops executions before the state machines are deleted.
  stop = {}
}

data "aws_iam_policy_document" "stop" {
  statement {
    sid       = "FindExecutions"
    actions   = ["states:ListExecutions"]
    resources = values(local.machine_arns)
  }

  statement {
    sid       = "StopExecutions"
    actions   = ["states:StopExecution"]
    resources = values(local.execution_arns)
  }

  statement {
    # Only the function that submitted a statement can cancel it.
    sid       = "HaveStatementsCancelled"
    actions   = ["lambda:InvokeFunction"]
    resources = [local.function_arns["statement"]]
  }
}
