locals {
  deliver = {
    table  = ["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"]
    read   = ["config/versions/*", "live/*", "models/*"]
    write  = ["results/*", "reports/*"]
    delete = ["models/*", "results/*"]
    list   = ["config/versions/*", "live/*", "models/*", "results/*"]
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

  dynamic "statement" {
    for_each = length(var.alert_kms_key_arns) > 0 ? ["keys"] : []
    content {
      # Publishing to an encrypted topic requires the use of its key.
      sid       = "UseTheKeysOfTopics"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey*"]
      resources = distinct(var.alert_kms_key_arns)

      condition {
        test     = "StringLike"
        variable = "kms:ViaService"
        # A key is in the region of its topic. Service hosts have other suffixes in other partitions.
        values = distinct([for arn in var.alert_kms_key_arns : "sns.${split(":", arn)[3]}.amazonaws.com*"])
      }
    }
  }
}
