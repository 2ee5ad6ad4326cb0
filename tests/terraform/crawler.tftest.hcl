mock_provider "aws" {
  mock_resource "aws_sfn_state_machine" {
    defaults = {
      arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop-crawl"
    }
  }
}

variables {
  name      = "shop"
  partition = "aws"
  function_arns = {
    for key in ["reconcile", "plan_crawl", "detect", "commit", "deliver", "record_failure", "stop"] :
    key => "arn:aws:lambda:eu-west-1:111122223333:function:shop-${replace(key, "_", "-")}"
  }
  machine_role_arn      = "arn:aws:iam::111122223333:role/shop-crawl-machine"
  statement_arn         = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop-statement"
  schedule_role_arn     = "arn:aws:iam::111122223333:role/shop-schedule"
  interval              = "PT1H"
  dead_letter_queue_arn = "arn:aws:sqs:eu-west-1:111122223333:shop-dead-letters"
  timezone              = "UTC"
  offset_seconds        = 300
  enabled               = true
  retry = {
    function  = "[{\"ErrorEquals\":[\"RetryableError\"]}]"
    execution = "[{\"ErrorEquals\":[\"StepFunctions.ThrottlingException\"]}]"
  }
  logging    = { retention_days = 365, tracing = true }
  encryption = null
  tags       = {}
}

run "schedule" {
  command = apply

  module {
    source = "./modules/crawler"
  }

  assert {
    condition = (
      aws_lambda_invocation.stop.lifecycle_scope == "CRUD"
      && jsondecode(aws_lambda_invocation.stop.input) == { machine_arns = [aws_sfn_state_machine.crawl.arn] }
      && aws_sfn_state_machine.crawl.timeouts.delete == "30m"
    )
    error_message = "At destroy, crawls are stopped, and the machine is given time."
  }

  variables {
    timezone = "Europe/Berlin"
  }

  assert {
    condition     = aws_scheduler_schedule.crawl.target[0].input == "{\"scheduled_time\":\"<aws.scheduler.scheduled-time>\"}"
    error_message = "Scheduler's variable reaches it unescaped."
  }

  assert {
    condition     = aws_scheduler_schedule.crawl.flexible_time_window[0].mode == "OFF"
    error_message = "The schedule runs on time."
  }

  assert {
    condition     = aws_scheduler_schedule.crawl.schedule_expression_timezone == "Europe/Berlin" && aws_scheduler_schedule.crawl.state == "ENABLED"
    error_message = "The schedule runs in the detector's zone."
  }

  assert {
    condition     = aws_scheduler_schedule.crawl.group_name == "shop" && aws_scheduler_schedule.crawl.name == "shop-crawl"
    error_message = "Group and schedule have the names that the role expects."
  }

  assert {
    condition = (
      aws_scheduler_schedule.crawl.target[0].dead_letter_config[0].arn == var.dead_letter_queue_arn
      && aws_scheduler_schedule.crawl.target[0].retry_policy[0].maximum_event_age_in_seconds == 3600
    )
    error_message = "A run that could not be started is retried, then kept."
  }

  assert {
    condition     = aws_scheduler_schedule.crawl.target[0].role_arn == var.schedule_role_arn && aws_sfn_state_machine.crawl.role_arn == var.machine_role_arn
    error_message = "Schedule and machine have a role each."
  }

  assert {
    condition = (
      aws_sfn_state_machine.crawl.logging_configuration[0].level == "ERROR"
      && !aws_sfn_state_machine.crawl.logging_configuration[0].include_execution_data
      && aws_cloudwatch_log_group.crawl.name == "/aws/vendedlogs/states/shop-crawl"
    )
    error_message = "Errors are logged without data, under the prefix of vended logs."
  }
}

run "switched_off" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    enabled = false
  }

  assert {
    condition     = aws_scheduler_schedule.crawl.state == "DISABLED"
    error_message = "The schedule can be switched off."
  }
}

run "names_fit_at_their_longest" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    name = "a-name-of-thirty-two-characters1"
  }

  assert {
    condition     = length(aws_scheduler_schedule.crawl.name) <= 64 && length(aws_sfn_state_machine.crawl.name) <= 80
    error_message = "A schedule's name has at most 64 characters, a machine's 80."
  }
}

run "govcloud" {
  command = apply

  module {
    source = "./modules/crawler"
  }

  variables {
    partition = "aws-us-gov"
    function_arns = {
      for key in ["reconcile", "plan_crawl", "detect", "commit", "deliver", "record_failure", "stop"] :
      key => "arn:aws-us-gov:lambda:us-gov-west-1:111122223333:function:shop-${replace(key, "_", "-")}"
    }
    statement_arn = "arn:aws-us-gov:states:us-gov-west-1:111122223333:stateMachine:shop-statement"
  }

  assert {
    condition     = !strcontains(aws_sfn_state_machine.crawl.definition, "arn:aws:")
    error_message = "No ARN is of another partition."
  }
}

run "a_statement_may_take_as_long_as_a_day_s_interval" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval = "P1D"
  }

  assert {
    condition = (
      jsondecode(aws_sfn_state_machine.crawl.definition).States.Unload.Parameters.Input.timeout_seconds == 86400
      && jsondecode(aws_sfn_state_machine.crawl.definition).States.Unload.TimeoutSeconds > 86400
    )
    error_message = "The unload of a day may take a day, and the crawl sees it cancelled."
  }
}

run "pt5m_0_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "PT5M"
    offset_seconds = 0
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(0/5 * * * ? *)"
    error_message = "PT5M with 0 s in UTC is cron(0/5 * * * ? *), not ${output.schedule_expression}."
  }
}

run "pt5m_1_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "PT5M"
    offset_seconds = 1
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(1/5 * * * ? *)"
    error_message = "PT5M with 1 s in UTC is cron(1/5 * * * ? *), not ${output.schedule_expression}."
  }
}

run "pt5m_300_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "PT5M"
    offset_seconds = 300
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(0/5 * * * ? *)"
    error_message = "PT5M with 300 s in UTC is cron(0/5 * * * ? *), not ${output.schedule_expression}."
  }
}

run "pt5m_301_europe_berlin" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "PT5M"
    offset_seconds = 301
    timezone       = "Europe/Berlin"
  }

  assert {
    condition     = output.schedule_expression == "cron(1/5 * * * ? *)"
    error_message = "PT5M with 301 s in Europe/Berlin is cron(1/5 * * * ? *), not ${output.schedule_expression}."
  }
}

run "pt5m_432000_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "PT5M"
    offset_seconds = 432000
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(0/5 * * * ? *)"
    error_message = "PT5M with 432000 s in UTC is cron(0/5 * * * ? *), not ${output.schedule_expression}."
  }
}

run "pt10m_300_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "PT10M"
    offset_seconds = 300
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(5/10 * * * ? *)"
    error_message = "PT10M with 300 s in UTC is cron(5/10 * * * ? *), not ${output.schedule_expression}."
  }
}

run "pt10m_541_asia_kolkata" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "PT10M"
    offset_seconds = 541
    timezone       = "Asia/Kolkata"
  }

  assert {
    condition     = output.schedule_expression == "cron(0/10 * * * ? *)"
    error_message = "PT10M with 541 s in Asia/Kolkata is cron(0/10 * * * ? *), not ${output.schedule_expression}."
  }
}

run "pt15m_300_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "PT15M"
    offset_seconds = 300
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(5/15 * * * ? *)"
    error_message = "PT15M with 300 s in UTC is cron(5/15 * * * ? *), not ${output.schedule_expression}."
  }
}

run "pt15m_899_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "PT15M"
    offset_seconds = 899
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(0/15 * * * ? *)"
    error_message = "PT15M with 899 s in UTC is cron(0/15 * * * ? *), not ${output.schedule_expression}."
  }
}

run "pt30m_300_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "PT30M"
    offset_seconds = 300
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(5/30 * * * ? *)"
    error_message = "PT30M with 300 s in UTC is cron(5/30 * * * ? *), not ${output.schedule_expression}."
  }
}

run "pt30m_2400_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "PT30M"
    offset_seconds = 2400
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(10/30 * * * ? *)"
    error_message = "PT30M with 2400 s in UTC is cron(10/30 * * * ? *), not ${output.schedule_expression}."
  }
}

run "pt1h_0_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "PT1H"
    offset_seconds = 0
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(0 * * * ? *)"
    error_message = "PT1H with 0 s in UTC is cron(0 * * * ? *), not ${output.schedule_expression}."
  }
}

run "pt1h_300_america_new_york" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "PT1H"
    offset_seconds = 300
    timezone       = "America/New_York"
  }

  assert {
    condition     = output.schedule_expression == "cron(5 * * * ? *)"
    error_message = "PT1H with 300 s in America/New_York is cron(5 * * * ? *), not ${output.schedule_expression}."
  }
}

run "pt1h_3900_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "PT1H"
    offset_seconds = 3900
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(5 * * * ? *)"
    error_message = "PT1H with 3900 s in UTC is cron(5 * * * ? *), not ${output.schedule_expression}."
  }
}

run "pt1h_3541_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "PT1H"
    offset_seconds = 3541
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(0 * * * ? *)"
    error_message = "PT1H with 3541 s in UTC is cron(0 * * * ? *), not ${output.schedule_expression}."
  }
}

run "p1d_0_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "P1D"
    offset_seconds = 0
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(0 0 * * ? *)"
    error_message = "P1D with 0 s in UTC is cron(0 0 * * ? *), not ${output.schedule_expression}."
  }
}

run "p1d_300_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "P1D"
    offset_seconds = 300
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(5 0 * * ? *)"
    error_message = "P1D with 300 s in UTC is cron(5 0 * * ? *), not ${output.schedule_expression}."
  }
}

run "p1d_5400_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "P1D"
    offset_seconds = 5400
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(30 1 * * ? *)"
    error_message = "P1D with 5400 s in UTC is cron(30 1 * * ? *), not ${output.schedule_expression}."
  }
}

run "p1d_86399_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "P1D"
    offset_seconds = 86399
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(0 0 * * ? *)"
    error_message = "P1D with 86399 s in UTC is cron(0 0 * * ? *), not ${output.schedule_expression}."
  }
}

run "p1d_86400_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "P1D"
    offset_seconds = 86400
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(0 0 * * ? *)"
    error_message = "P1D with 86400 s in UTC is cron(0 0 * * ? *), not ${output.schedule_expression}."
  }
}

run "p1d_108000_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "P1D"
    offset_seconds = 108000
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(0 6 * * ? *)"
    error_message = "P1D with 108000 s in UTC is cron(0 6 * * ? *), not ${output.schedule_expression}."
  }
}

run "p1d_432000_etc_utc" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "P1D"
    offset_seconds = 432000
    timezone       = "Etc/UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(0 0 * * ? *)"
    error_message = "P1D with 432000 s in Etc/UTC is cron(0 0 * * ? *), not ${output.schedule_expression}."
  }
}

run "p1d_0_europe_berlin" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "P1D"
    offset_seconds = 0
    timezone       = "Europe/Berlin"
  }

  assert {
    condition     = output.schedule_expression == "cron(0 0,1 * * ? *)"
    error_message = "P1D with 0 s in Europe/Berlin is cron(0 0,1 * * ? *), not ${output.schedule_expression}."
  }
}

run "p1d_7500_europe_berlin" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "P1D"
    offset_seconds = 7500
    timezone       = "Europe/Berlin"
  }

  assert {
    condition     = output.schedule_expression == "cron(5 2,3 * * ? *)"
    error_message = "P1D with 7500 s in Europe/Berlin is cron(5 2,3 * * ? *), not ${output.schedule_expression}."
  }
}

run "p1d_82860_america_santiago" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "P1D"
    offset_seconds = 82860
    timezone       = "America/Santiago"
  }

  assert {
    condition     = output.schedule_expression == "cron(1 23,0 * * ? *)"
    error_message = "P1D with 82860 s in America/Santiago is cron(1 23,0 * * ? *), not ${output.schedule_expression}."
  }
}

run "p1d_86341_europe_berlin" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "P1D"
    offset_seconds = 86341
    timezone       = "Europe/Berlin"
  }

  assert {
    condition     = output.schedule_expression == "cron(0 0,1 * * ? *)"
    error_message = "P1D with 86341 s in Europe/Berlin is cron(0 0,1 * * ? *), not ${output.schedule_expression}."
  }
}

run "p1w_93600" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "P1W"
    offset_seconds = 93600
    timezone       = "UTC"
  }

  assert {
    condition     = output.schedule_expression == "cron(0 2 * * ? *)"
    error_message = "P1W with 93600 s in UTC is cron(0 2 * * ? *), not ${output.schedule_expression}."
  }
}

run "p1m_300" {
  command = plan

  module {
    source = "./modules/crawler"
  }

  variables {
    interval       = "P1M"
    offset_seconds = 300
    timezone       = "Europe/Berlin"
  }

  assert {
    condition     = output.schedule_expression == "cron(5 0,1 * * ? *)"
    error_message = "P1M with 300 s in Europe/Berlin is cron(5 0,1 * * ? *), not ${output.schedule_expression}."
  }
}
