locals {
  interval_minutes = {
    PT5M  = 5
    PT10M = 10
    PT15M = 15
    PT30M = 30
    PT1H  = 60
    P1D   = 1440
    # Once a day, too: the offset may end on any day, and a run with nothing due costs next to nothing.
    P1W = 1440
    P1M = 1440
  }[var.interval]

  # First full minute after an interval's start at which the offset of the preceding interval has passed.
  minute_of_interval = ceil(var.offset_seconds / 60) % local.interval_minutes

  # For intervals of whole days: that hour and, if the time zone may have daylight saving time, the hour after it. Offsets count from
  # midnight; on a day of 23 hours the clock is an hour ahead by then, or skips that hour. A run with nothing due costs next to nothing.
  hour_of_day = floor(local.minute_of_interval / 60)
  hours_of_day = join(",", distinct(
    contains(["UTC", "Etc/UTC"], var.timezone) ? [local.hour_of_day] : [local.hour_of_day, (local.hour_of_day + 1) % 24]
  ))

  schedule_expression = (
    local.interval_minutes == 1440 ? "cron(${local.minute_of_interval % 60} ${local.hours_of_day} * * ? *)" :
    local.interval_minutes == 60 ? "cron(${local.minute_of_interval} * * * ? *)" :
    "cron(${local.minute_of_interval}/${local.interval_minutes} * * * ? *)"
  )

  # A statement over a day of data may take long; one over minutes must end before too many intervals are overdue.
  unload_seconds = max(10800, local.interval_minutes * 60)
}

resource "aws_cloudwatch_log_group" "crawl" {
  #checkov:skip=CKV_AWS_158:A customer managed key is an input (encryption); without one, CloudWatch Logs encrypts with its own key.
  #checkov:skip=CKV_AWS_338:Retention is an input (logging), a year by default.
  # Log groups with this prefix need no entry in the account's resource policy for log delivery, whose size is limited.
  name              = "/aws/vendedlogs/states/${var.name}-crawl"
  retention_in_days = var.logging.retention_days
  kms_key_id        = one(var.encryption[*].kms_key_arn)
  tags              = var.tags
}

resource "aws_sfn_state_machine" "crawl" {
  #checkov:skip=CKV_AWS_284:Tracing is an input (logging), enabled by default.
  #checkov:skip=CKV_AWS_285:Errors are logged, without execution data, which may contain values from the warehouse.
  name     = "${var.name}-crawl"
  role_arn = var.machine_role_arn
  definition = templatefile("${path.module}/crawl.asl.json", {
    partition      = var.partition
    functions      = var.function_arns
    retry          = var.retry
    statement_arn  = var.statement_arn
    unload_seconds = local.unload_seconds
    # A statement that times out is cancelled; the crawl waits until it has ended.
    unload_task_seconds = local.unload_seconds + 900
  })

  logging_configuration {
    level                  = "ERROR"
    include_execution_data = false
    log_destination        = "${aws_cloudwatch_log_group.crawl.arn}:*"
  }

  tracing_configuration {
    enabled = var.logging.tracing
  }

  timeouts {
    delete = "30m"
  }

  tags = var.tags
}

# At destroy, stops running crawls: a state machine is deleted only when its executions have ended.
resource "aws_lambda_invocation" "stop" {
  function_name   = var.function_arns["stop"]
  lifecycle_scope = "CRUD"
  input           = jsonencode({ machine_arns = [aws_sfn_state_machine.crawl.arn] })
}

resource "aws_scheduler_schedule_group" "this" {
  name = var.name
  tags = var.tags
}

resource "aws_scheduler_schedule" "crawl" {
  #checkov:skip=CKV_AWS_297:A customer managed key is an input (encryption); the schedule's input contains only a time.
  name        = "${var.name}-crawl"
  group_name  = aws_scheduler_schedule_group.this.name
  description = "Crawls for the anomaly detector ${var.name} after the end of every interval (${var.interval})."
  state       = var.enabled ? "ENABLED" : "DISABLED"
  kms_key_arn = one(var.encryption[*].kms_key_arn)

  # In the detector's time zone, like its intervals. Intervals skipped by a clock change are crawled by the next run.
  schedule_expression          = local.schedule_expression
  schedule_expression_timezone = var.timezone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_sfn_state_machine.crawl.arn
    role_arn = var.schedule_role_arn
    # Not jsonencode: it escapes "<" and ">", and Scheduler would not know its variable.
    input = "{\"scheduled_time\":\"<aws.scheduler.scheduled-time>\"}"

    retry_policy {
      # Later than this, the next run crawls the same intervals.
      maximum_event_age_in_seconds = max(3600, local.interval_minutes * 60)
      maximum_retry_attempts       = 10
    }

    dead_letter_config {
      arn = var.dead_letter_queue_arn
    }
  }

  # At destroy, the schedule is deleted before running crawls are stopped.
  depends_on = [aws_lambda_invocation.stop]
}
