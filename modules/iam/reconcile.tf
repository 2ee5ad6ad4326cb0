locals {
  reconcile = {
    table = ["GetItem", "PutItem", "UpdateItem"]
    read  = ["config/*"]
    write = ["config/versions/*"]
    list  = ["config/*"]
  }
}

data "aws_iam_policy_document" "reconcile" {
  statement {
    sid       = "StartThePipeline"
    actions   = ["states:StartExecution"]
    resources = [local.machine_arns["pipeline"]]
  }

  statement {
    sid       = "SeeHowThePipelineEnded"
    actions   = ["states:DescribeExecution"]
    resources = [local.execution_arns["pipeline"]]
  }

  statement {
    # Lambda sends failed asynchronous events to their destination with the function's own permissions.
    sid       = "KeepEventsThatFailed"
    actions   = ["sqs:SendMessage"]
    resources = [var.dead_letter_queue_arn]
  }
}
