locals {
  deliver = {
    table  = ["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"]
    read   = ["config/versions/*", "live/*"]
    write  = ["results/*"]
    delete = ["results/*"]
    list   = ["config/versions/*", "live/*", "results/*"]
  }
}

data "aws_iam_policy_document" "deliver" {
  statement {
    sid       = "PublishAlerts"
    actions   = ["sns:Publish"]
    resources = distinct(concat([var.alerts_topic_arn, var.operations_topic_arn], var.alert_sns_topic_arns))
  }

  dynamic "statement" {
    for_each = length(var.alert_lambda_function_arns) > 0 ? ["functions"] : []
    content {
      sid       = "SendAlertsToFunctions"
      actions   = ["lambda:InvokeFunction"]
      resources = distinct(var.alert_lambda_function_arns)
    }
  }
}
