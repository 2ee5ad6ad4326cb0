locals {
  record_failure = {
    table = ["GetItem", "Query", "UpdateItem", "DeleteItem"]
  }
}

data "aws_iam_policy_document" "record_failure" {
  statement {
    sid       = "ReportFailures"
    actions   = ["sns:Publish"]
    resources = [var.operations_topic_arn]
  }

  statement {
    # Lambda sends what it could not handle asynchronously with the function's own rights.
    sid       = "KeepEventsThatFailed"
    actions   = ["sqs:SendMessage"]
    resources = [var.dead_letter_queue_arn]
  }
}
