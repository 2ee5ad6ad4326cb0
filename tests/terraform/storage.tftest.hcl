mock_provider "aws" {
  source = "./tests/terraform/mocks/aws"
}

variables {
  name                   = "shop"
  region                 = "eu-west-1"
  account_id             = "123456789012"
  bucket_name            = null
  force_destroy          = false
  history_retention_days = null
  live_retention_days    = 90
  results_retention_days = null
  point_in_time_recovery = true
  athena_workgroup       = "primary"
  dimensions             = []
  results_since          = "2020-01-01"
  unload_role_arn        = null
  encryption             = null
  tags                   = {}

  configuration_writer_arns = null
}

run "rows_of_crawls_expire_and_history_stays" {
  command = apply

  module {
    source = "./modules/storage"
  }

  assert {
    condition = {
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.filter[0].prefix => rule.expiration[0].days if length(rule.expiration) > 0
    } == { "live/" = 90 }
    error_message = "Only what crawls unloaded expires by default."
  }

  assert {
    condition     = aws_dynamodb_table.this.name == "shop-state"
    error_message = "The table's name says what it holds."
  }

  assert {
    condition     = [for statement in data.aws_iam_policy_document.bucket.statement : statement.sid] == ["DenyWithoutTls"]
    error_message = "The bucket lets nobody else in."
  }
}

run "role_of_another_account_at_the_end_of_a_chain" {
  command = apply

  module {
    source = "./modules/storage"
  }

  variables {
    unload_role_arn = "arn:aws:iam::123456789012:role/ours,arn:aws:iam::444455556666:role/theirs"
  }

  assert {
    condition = [
      for statement in data.aws_iam_policy_document.bucket.statement : [for principal in statement.principals : principal.identifiers]
      if statement.effect != "Deny"
    ] == [[toset(["arn:aws:iam::444455556666:role/theirs"])], [toset(["arn:aws:iam::444455556666:role/theirs"])]]
    error_message = "The role that writes is let in, and no other."
  }

  assert {
    condition = toset([
      for resource in flatten([for statement in data.aws_iam_policy_document.bucket.statement : tolist(statement.resources) if contains(statement.actions, "s3:PutObject")]) :
      reverse(split("/", trimsuffix(resource, "/*")))[0]
    ]) == toset(["history", "live"])
    error_message = "It writes where rows are unloaded, nowhere else."
  }
}

run "roles_of_this_account_need_nothing" {
  command = apply

  module {
    source = "./modules/storage"
  }

  variables {
    unload_role_arn = "arn:aws:iam::444455556666:role/theirs,arn:aws:iam::123456789012:role/ours"
  }

  assert {
    condition     = length(data.aws_iam_policy_document.bucket.statement) == 1
    error_message = "The role's own policy is enough."
  }
}

run "only_these_write_the_configuration" {
  command = apply

  module {
    source = "./modules/storage"
  }

  variables {
    configuration_writer_arns = ["arn:aws:iam::123456789012:role/deploy", "arn:aws:iam::123456789012:role/shop-reconcile"]
  }

  assert {
    condition = [
      for statement in data.aws_iam_policy_document.bucket.statement : {
        effect    = statement.effect
        actions   = statement.actions
        resources = [for resource in statement.resources : split("/", resource)[1]]
        condition = [for each in statement.condition : { test = each.test, variable = each.variable, values = each.values }]
      } if statement.sid == "DenyConfigurationOfOthers"
      ] == [{
        effect    = "Deny"
        actions   = toset(["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObject"])
        resources = ["config"]
        condition = [{ test = "ArnNotLike", variable = "aws:PrincipalArn", values = var.configuration_writer_arns }]
    }]
    error_message = "Whoever is not named can neither write nor delete the configuration."
  }
}

run "each_query_is_saved_where_people_work" {
  command = apply

  module {
    source = "./modules/storage"
  }

  variables {
    dimensions       = ["Platform", "say \"hi\""]
    athena_workgroup = "analysts"
  }

  assert {
    condition     = length(aws_athena_named_query.this) == 10 && alltrue([for query in aws_athena_named_query.this : query.workgroup == "analysts" && query.database == "shop_results"])
    error_message = "All ten queries are in the workgroup that is given."
  }

  assert {
    condition     = strcontains(aws_athena_named_query.this["totals-of-the-week"].query, "true AND \"platform\" = '*' AND \"say \"\"hi\"\"\" = '*'")
    error_message = "Dimensions are named as the catalogue has them; the query is ${aws_athena_named_query.this["totals-of-the-week"].query}"
  }
}
