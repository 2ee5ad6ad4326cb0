locals {
  interval_minutes = {
    PT5M  = 5
    PT10M = 10
    PT15M = 15
    PT30M = 30
    PT1H  = 60
    P1D   = 1440
  }[var.interval]

  # First minute, after an interval's start, at which the offset of the interval before has passed.
  minute_of_interval = ceil(var.offset_seconds / 60) % local.interval_minutes

  # Of a day: its hour and, where the zone may have daylight saving, the hour after it. Offsets count from midnight; on
  # the day of 23 hours the clock shows an hour more by then, or never shows that hour. A run with nothing due costs nothing.
  hour_of_day = floor(local.minute_of_interval / 60)
  hours_of_day = join(",", distinct(
    contains(["UTC", "Etc/UTC"], var.timezone) ? [local.hour_of_day] : [local.hour_of_day, (local.hour_of_day + 1) % 24]
  ))

  schedule_expression = (
    local.interval_minutes == 1440 ? "cron(${local.minute_of_interval % 60} ${local.hours_of_day} * * ? *)" :
    local.interval_minutes == 60 ? "cron(${local.minute_of_interval} * * * ? *)" :
    "cron(${local.minute_of_interval}/${local.interval_minutes} * * * ? *)"
  )

  # A statement over a day may take long; one over minutes has to end before too many crawls wait for the same rows.
  unload_seconds = max(10800, local.interval_minutes * 60)
}

resource "aws_cloudwatch_log_group" "crawl" {
  #checkov:skip=CKV_AWS_158:A customer key is the user's choice; CloudWatch Logs encrypts with its own key otherwise.
  #checkov:skip=CKV_AWS_338:Retention is the user's choice and is a year by default.
  # Groups under this prefix need no entry in the account's one resource policy for log deliveries.
  name              = "/aws/vendedlogs/states/${var.name}-crawl"
  retention_in_days = var.logging.retention_days
  kms_key_id        = one(var.encryption[*].kms_key_arn)
  tags              = var.tags
}

resource "aws_sfn_state_machine" "crawl" {
  #checkov:skip=CKV_AWS_284:Tracing is the user's choice and is on by default.
  #checkov:skip=CKV_AWS_285:Errors are logged; execution data is left out, it may hold values from the warehouse.
  name     = "${var.name}-crawl"
  role_arn = var.machine_role_arn
  definition = templatefile("${path.module}/crawl.asl.json", {
    partition      = var.partition
    functions      = var.function_arns
    retry          = var.retry
    statement_arn  = var.statement_arn
    unload_seconds = local.unload_seconds
    # The statement is cancelled when its time is over, and the crawl waits to see it end.
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

# Stops, at destroy, the crawls that run: a state machine is deleted only when its executions have ended.
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
  #checkov:skip=CKV_AWS_297:A customer key is the user's choice; the input holds nothing but a time.
  name        = "${var.name}-crawl"
  group_name  = aws_scheduler_schedule_group.this.name
  description = "Crawls for the anomaly detector ${var.name} after the end of every interval (${var.interval})."
  state       = var.enabled ? "ENABLED" : "DISABLED"
  kms_key_arn = one(var.encryption[*].kms_key_arn)

  # In the detector's zone, whose days and hours its intervals are. What the clock change skips, the next crawl takes.
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
      # A run that is later than this is the next one's work.
      maximum_event_age_in_seconds = max(3600, local.interval_minutes * 60)
      maximum_retry_attempts       = 10
    }

    dead_letter_config {
      arn = var.dead_letter_queue_arn
    }
  }

  # At destroy, no more crawls are started when those that run are stopped.
  depends_on = [aws_lambda_invocation.stop]
}
