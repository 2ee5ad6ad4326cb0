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
}
