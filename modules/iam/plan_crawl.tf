locals {
  plan_crawl = {
    table = ["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"]
    read  = ["config/versions/*"]
    list  = ["config/versions/*"]
  }
}

data "aws_iam_policy_document" "plan_crawl" {
  statement {
    sid       = "ReportThatNothingIsScored"
    actions   = ["sns:Publish"]
    resources = [var.operations_topic_arn]
  }
}
