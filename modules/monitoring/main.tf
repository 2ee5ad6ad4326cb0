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

  budget = var.has_budget ? {
    budget = {
      description = "The detector's budget of the month is spent: crawls pause until the next month, unless the budget is raised."
      namespace   = "AnomalyDetector"
      metric      = "BudgetUsed"
      statistic   = "Maximum"
      threshold   = 100
      dimensions  = { Detector = var.name }
    }
  } : {}

  alarms = merge(local.executions, local.budget, {
    dead-letters = {
      description = "An event or a scheduled start could not be delivered. See the message in the dead-letter queue for the reason."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      statistic   = "Maximum"
      dimensions  = { QueueName = var.dead_letter_queue_name }
    }
    delivery-errors = {
      description = "The function that delivers alerts and results failed, or a target refused an alert: see the operations topic and the function's log. What is undelivered is tried again by the next crawl."
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      statistic   = "Sum"
      dimensions  = { FunctionName = var.deliver_function }
    }
    notifications-failed = {
      description = "SNS could not deliver an alert to a subscriber of the alerts topic: see the topic's subscriptions, and enable delivery status logging for the reason."
      namespace   = "AWS/SNS"
      metric      = "NumberOfNotificationsFailed"
      statistic   = "Sum"
      dimensions  = { TopicName = var.alerts_topic_name }
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
  threshold           = lookup(each.value, "threshold", 1)
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.operations_topic_arn]
  tags                = var.tags
}

locals {
  # An alarm looks back seven days at most, and a day where its period is below an hour. Weeks and months are watched by the crawl
  # itself, which looks every day: then the alarm says that it does not.
  watched = (
    contains(["P1W", "P1M"], var.interval)
    ? { function = var.plan_crawl_function_arn, seconds = 86400, what = "no crawl has begun for ${var.silence_intervals} days" }
    : {
      function = var.commit_function_arn
      seconds  = { PT5M = 300, PT10M = 600, PT15M = 900, PT30M = 1800, PT1H = 3600, P1D = 86400 }[var.interval]
      what     = "no interval (${var.interval}) has been scored for ${var.silence_intervals} intervals"
    }
  )
}

# A dead man's switch: missing data is what it is for. It is in alarm until the first crawl, too, and says OK then.
resource "aws_cloudwatch_metric_alarm" "silence" {
  alarm_name          = "${var.name}-silence"
  alarm_description   = "Anomaly detector ${var.name}: ${local.watched.what}, whatever the reason. See the detector's status, the schedule and the executions of the crawl machine; after the first apply, the history is still being loaded."
  namespace           = "AWS/States"
  metric_name         = "LambdaFunctionsSucceeded"
  dimensions          = { LambdaFunctionArn = local.watched.function }
  statistic           = "Sum"
  period              = local.watched.seconds
  evaluation_periods  = var.silence_intervals
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = [var.operations_topic_arn]
  ok_actions          = [var.operations_topic_arn]
  tags                = var.tags
}

# An execution that was stopped, took too long or failed outside of any Catch cannot say so itself: the detector would be
# ACTIVATING for ever, or the next crawls wait for the lease of one that runs no more.
resource "aws_cloudwatch_event_rule" "ended" {
  name        = "${var.name}-execution-ended"
  description = "An execution of the anomaly detector ${var.name} did not succeed."
  event_pattern = jsonencode({
    source      = ["aws.states"]
    detail-type = ["Step Functions Execution Status Change"]
    detail = {
      stateMachineArn = values(var.machine_arns)
      status          = ["ABORTED", "FAILED", "TIMED_OUT"]
    }
  })
  tags = var.tags
}

resource "aws_lambda_permission" "ended" {
  statement_id   = "ExecutionDidNotSucceed"
  action         = "lambda:InvokeFunction"
  function_name  = var.record_failure_function_arn
  principal      = "events.amazonaws.com"
  source_arn     = aws_cloudwatch_event_rule.ended.arn
  source_account = var.account_id
}

resource "aws_cloudwatch_event_target" "ended" {
  rule = aws_cloudwatch_event_rule.ended.name
  arn  = var.record_failure_function_arn

  input_transformer {
    input_paths = { execution = "$.detail.executionArn", status = "$.detail.status" }
    # Not jsonencode: it escapes "<" and ">".
    input_template = "{\"execution\": \"<execution>\", \"status\": \"<status>\"}"
  }

  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 10
  }

  dead_letter_config {
    arn = var.dead_letter_queue_arn
  }

  depends_on = [aws_lambda_permission.ended]
}

locals {
  # Views of the function `console`, on a grid of 24 columns.
  views = var.dashboard ? [
    { view = "events", title = "Events", x = 0, y = 0, width = 16, height = 12 },
    { view = "status", title = "State", x = 16, y = 0, width = 8, height = 6 },
    { view = "learnt", title = "What was learnt", x = 16, y = 6, width = 8, height = 6 },
    { view = "event", title = "One event", x = 0, y = 12, width = 24, height = 14 },
  ] : []

  failures = [
    for pair in setproduct(keys(var.machine_arns), keys(local.outcomes)) :
    ["AWS/States", local.outcomes[pair[1]], "StateMachineArn", var.machine_arns[pair[0]], { label = "${pair[0]} ${pair[1]}" }]
  ]
  errors = [
    for key in ["deliver", "detect", "reconcile"] : ["AWS/Lambda", "Errors", "FunctionName", var.function_names[key], { label = key }]
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.dashboard ? 1 : 0

  dashboard_name = var.name
  dashboard_body = jsonencode({
    start = "-P7D"
    widgets = concat(
      [
        for one in local.views : {
          type   = "custom"
          x      = one.x
          y      = one.y
          width  = one.width
          height = one.height
          properties = {
            endpoint = var.function_arns["console"]
            title    = one.title
            params   = { view = one.view }
            updateOn = { refresh = true, resize = false, timeRange = contains(["event", "events"], one.view) }
          }
        }
      ],
      [
        {
          type   = "metric"
          x      = 0
          y      = 26
          width  = 8
          height = 6
          properties = {
            title   = "Duration of crawls"
            region  = var.region
            view    = "timeSeries"
            stat    = "Maximum"
            period  = 3600
            metrics = [["AWS/States", "ExecutionTime", "StateMachineArn", var.machine_arns["crawl"], { label = "crawl" }]]
          }
        },
        {
          type   = "log"
          x      = 8
          y      = 26
          width  = 8
          height = 6
          properties = {
            title  = "Rows read by crawls"
            region = var.region
            view   = "bar"
            query  = "SOURCE '/aws/lambda/${var.function_names["commit"]}' | filter ispresent(rows_read) | stats sum(rows_read) as rows by bin(1d)"
          }
        },
        {
          type   = "metric"
          x      = 16
          y      = 26
          width  = 8
          height = 6
          properties = {
            title   = "Failures"
            region  = var.region
            view    = "timeSeries"
            stat    = "Sum"
            period  = 3600
            metrics = concat(local.failures, local.errors)
          }
        },
        {
          type   = "alarm"
          x      = 0
          y      = 32
          width  = 24
          height = 3
          properties = {
            title  = "Alarms"
            alarms = concat([for alarm in aws_cloudwatch_metric_alarm.this : alarm.arn], [aws_cloudwatch_metric_alarm.silence.arn])
          }
        },
      ],
    )
  })
}
