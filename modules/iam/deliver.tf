locals {
  deliver = {
    table = ["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"]
    # What pages show is read back.
    read   = ["config/versions/*", "live/*", "models/*", "reports/*", "results/scores/*"]
    write  = ["results/*", "reports/*"]
    delete = ["models/*", "results/*"]
    list   = ["config/versions/*", "live/*", "models/*", "reports/*", "results/*"]
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
    for_each = length(var.alert_event_bus_arns) > 0 ? ["buses"] : []
    content {
      sid       = "PutAlertsOnEventBuses"
      actions   = ["events:PutEvents"]
      resources = distinct(var.alert_event_bus_arns)
    }
  }

  dynamic "statement" {
    for_each = length(var.alert_secret_arns) > 0 ? ["secrets"] : []
    content {
      sid       = "ReadTheSecretsOfTargets"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = distinct(var.alert_secret_arns)
    }
  }

  dynamic "statement" {
    for_each = length(var.alert_kms_key_arns) > 0 ? ["keys"] : []
    content {
      # Publishing to an encrypted topic, and reading a secret, requires the use of its key.
      sid       = "UseTheKeysOfTargets"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey*"]
      resources = distinct(var.alert_kms_key_arns)

      condition {
        test     = "StringLike"
        variable = "kms:ViaService"
        # A key is in the region of its topic or secret. Service hosts have other suffixes in other partitions.
        values = distinct(flatten([
          for arn in var.alert_kms_key_arns : [for service in ["sns", "secretsmanager"] : "${service}.${split(":", arn)[3]}.amazonaws.com*"]
        ]))
      }
    }
  }
}
