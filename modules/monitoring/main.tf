locals {
  outcomes = {
    failed    = "ExecutionsFailed"
    timed-out = "ExecutionsTimedOut"
    aborted   = "ExecutionsAborted"
  }

  executions = merge([
    for key, arn in var.machine_arns : {
      for outcome, metric in local.outcomes : "${key}-${outcome}" => {
        description = "An execution of the ${key} machine ended ${replace(outcome, "-", " ")}; its reason is in the execution and in the detector's status."
        namespace   = "AWS/States"
        metric      = metric
        statistic   = "Sum"
        dimensions  = { StateMachineArn = arn }
      }
    }
  ]...)

  alarms = merge(local.executions, {
    dead-letters = {
      description = "An event or a scheduled start could not be delivered; the message says which and why."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      statistic   = "Maximum"
      dimensions  = { QueueName = var.dead_letter_queue_name }
    }
    reconcile-errors = {
      description = "The function that starts the pipeline failed; its log says why."
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      statistic   = "Sum"
      dimensions  = { FunctionName = var.reconcile_function }
    }
  })
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.operations_topic_arn]
  tags                = var.tags
}
