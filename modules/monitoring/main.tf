locals {
  outcomes = {
    failed    = "ExecutionsFailed"
    timed-out = "ExecutionsTimedOut"
    aborted   = "ExecutionsAborted"
  }

  executions = merge([
    for key, arn in var.machine_arns : {
      for outcome, metric in local.outcomes : "${key}-${outcome}" => {
        description = "An execution of the state machine ${key} has ${outcome == "failed" ? "failed" : outcome == "aborted" ? "been aborted" : "timed out"}. See the execution, or the detector's status, for the reason."
        namespace   = "AWS/States"
        metric      = metric
        statistic   = "Sum"
        dimensions  = { StateMachineArn = arn }
      }
    }
  ]...)

  alarms = merge(local.executions, {
    dead-letters = {
      description = "An event or a scheduled start could not be delivered. See the message in the dead-letter queue for the reason."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      statistic   = "Maximum"
      dimensions  = { QueueName = var.dead_letter_queue_name }
    }
    reconcile-errors = {
      description = "The function that starts the pipeline failed. See its log for the reason."
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
