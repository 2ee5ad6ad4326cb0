# The provider itself writes the policy documents; nothing here reaches AWS.
provider "aws" {
  region                      = "eu-west-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
}

variables {
  name       = "shop"
  partition  = "aws"
  region     = "eu-west-1"
  account_id = "111122223333"
  iam = {
    path                     = "/detectors/"
    permissions_boundary_arn = "arn:aws:iam::111122223333:policy/boundary"
  }
  bucket_arn            = "arn:aws:s3:::shop-bucket"
  table_arn             = "arn:aws:dynamodb:eu-west-1:111122223333:table/shop"
  alerts_topic_arn      = "arn:aws:sns:eu-west-1:111122223333:shop-alerts"
  operations_topic_arn  = "arn:aws:sns:eu-west-1:111122223333:shop-operations"
  dead_letter_queue_arn = "arn:aws:sqs:eu-west-1:111122223333:shop-dead-letters"
  redshift = {
    cluster_identifier = "warehouse"
    database           = "sales"
    secret_arn         = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:warehouse-abcdef"
  }
  unload_role                = { create = true }
  alert_sns_topic_arns       = []
  alert_lambda_function_arns = []
  alert_event_bus_arns       = []
  alert_secret_arns          = []
  alert_kms_key_arns         = []
  encryption                 = null
  console                    = false
  tracing                    = true
  tags                       = {}
}

run "one_role_per_function_machine_and_schedule" {
  command = plan

  module {
    source = "./modules/iam"
  }

  assert {
    condition = toset(keys(aws_iam_role.function)) == toset([
      "reconcile", "warehouse_role", "prepare", "statement", "plan_history", "train", "activate", "record_failure",
      "plan_crawl", "detect", "commit", "deliver", "stop", "respond",
    ])
    error_message = "There is one role for each of the fourteen functions."
  }

  assert {
    condition     = toset(keys(aws_iam_role.machine)) == toset(["statement", "pipeline", "crawl"])
    error_message = "There is one role for each of the three state machines."
  }

  assert {
    condition = length(distinct([
      for role in concat(values(aws_iam_role.function), values(aws_iam_role.machine), [aws_iam_role.schedule], aws_iam_role.unload) : role.name
    ])) == 19
    error_message = "Each role has a name of its own."
  }
}

run "path_and_boundary_on_every_role" {
  command = plan

  module {
    source = "./modules/iam"
  }

  assert {
    condition = alltrue([
      for role in concat(values(aws_iam_role.function), values(aws_iam_role.machine), [aws_iam_role.schedule], aws_iam_role.unload) :
      role.path == "/detectors/" && role.permissions_boundary == "arn:aws:iam::111122223333:policy/boundary"
    ])
    error_message = "Every role has the path and the permissions boundary."
  }
}

run "names_fit_at_their_longest" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    name = "a-name-of-thirty-two-characters1"
  }

  assert {
    condition = alltrue([
      for role in concat(values(aws_iam_role.function), values(aws_iam_role.machine), [aws_iam_role.schedule], aws_iam_role.unload) :
      length(role.name) <= 64
    ])
    error_message = "A role's name has at most 64 characters."
  }
}

run "every_trust_names_account_and_source" {
  command = plan

  module {
    source = "./modules/iam"
  }

  assert {
    condition = alltrue([
      for document in concat(
        values(data.aws_iam_policy_document.function_trust), values(data.aws_iam_policy_document.machine_trust),
        [data.aws_iam_policy_document.schedule_trust], data.aws_iam_policy_document.unload_trust,
      ) :
      strcontains(document.json, "\"aws:SourceAccount\": \"111122223333\"") && strcontains(document.json, "\"aws:SourceArn\"")
    ])
    error_message = "Every trust policy narrows the service by account and ARN."
  }

  assert {
    condition = (
      jsondecode(data.aws_iam_policy_document.schedule_trust.json).Statement[0].Condition.ArnLike["aws:SourceArn"]
      == "arn:aws:scheduler:eu-west-1:111122223333:schedule-group/shop"
    )
    error_message = "Scheduler assumes the role for its group."
  }

  assert {
    condition = (
      jsondecode(data.aws_iam_policy_document.unload_trust[0].json).Statement[0].Condition.ArnLike["aws:SourceArn"]
      == "arn:aws:redshift:eu-west-1:111122223333:cluster:warehouse"
      && jsondecode(data.aws_iam_policy_document.unload_trust[0].json).Statement[0].Principal.Service == "redshift.amazonaws.com"
    )
    error_message = "Only this cluster assumes the role for UNLOAD."
  }
}

run "delivery_may_what_alerts_name_and_no_more" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    alert_event_bus_arns = ["arn:aws:events:eu-west-1:111122223333:event-bus/shop"]
    alert_secret_arns    = ["arn:aws:secretsmanager:us-east-1:111122223333:secret:slack-abcdef"]
  }

  assert {
    condition = {
      for statement in jsondecode(data.aws_iam_policy_document.function["deliver"].json).Statement :
      statement.Sid => [statement.Action, statement.Resource] if contains(["PutAlertsOnEventBuses", "ReadTheSecretsOfTargets"], statement.Sid)
      } == {
      PutAlertsOnEventBuses   = ["events:PutEvents", "arn:aws:events:eu-west-1:111122223333:event-bus/shop"]
      ReadTheSecretsOfTargets = ["secretsmanager:GetSecretValue", "arn:aws:secretsmanager:us-east-1:111122223333:secret:slack-abcdef"]
    }
    error_message = "Delivery may put events on the buses and read the secrets of alerts."
  }
}

run "delivery_may_nothing_that_no_alert_names" {
  command = plan

  module {
    source = "./modules/iam"
  }

  assert {
    condition = !anytrue([
      for action in ["events:PutEvents", "secretsmanager:GetSecretValue", "lambda:InvokeFunction"] :
      strcontains(data.aws_iam_policy_document.function["deliver"].json, action)
    ])
    error_message = "Without such targets, delivery may use none."
  }
}

run "statements_have_sids_and_few_stars" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    encryption                 = { kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/1" }
    alert_lambda_function_arns = ["arn:aws:lambda:eu-west-1:111122223333:function:receiver"]
  }

  assert {
    condition = alltrue(flatten([
      for document in concat(
        values(data.aws_iam_policy_document.function), values(data.aws_iam_policy_document.machine),
        [data.aws_iam_policy_document.schedule, data.aws_iam_policy_document.unload],
      ) :
      [for statement in jsondecode(document.json).Statement : statement.Sid != ""]
    ]))
    error_message = "Every statement has a sid."
  }

  assert {
    condition = toset(flatten([
      for document in concat(
        values(data.aws_iam_policy_document.function), values(data.aws_iam_policy_document.machine),
        [data.aws_iam_policy_document.schedule, data.aws_iam_policy_document.unload],
      ) :
      [for statement in jsondecode(document.json).Statement : statement.Sid if statement.Resource == "*"]
    ])) == toset(["WriteTraces", "DeliverLogs", "FollowItsOwnStatements"])
    error_message = "Only what AWS cannot narrow is allowed on all resources."
  }

  assert {
    condition = !anytrue(flatten([
      for document in concat(
        values(data.aws_iam_policy_document.function), values(data.aws_iam_policy_document.machine),
        [data.aws_iam_policy_document.schedule, data.aws_iam_policy_document.unload],
      ) :
      [for action in flatten([for statement in jsondecode(document.json).Statement : statement.Action]) : strcontains(action, "*")]
    ]))
    error_message = "No action is a pattern."
  }

  assert {
    condition = alltrue([
      for document in concat(values(data.aws_iam_policy_document.function), values(data.aws_iam_policy_document.machine)) :
      !strcontains(document.json, "logs:CreateLogGroup")
    ])
    error_message = "No role makes log groups; a late invocation would make one again after destroy."
  }

  assert {
    condition = alltrue([
      for document in concat(values(data.aws_iam_policy_document.function), values(data.aws_iam_policy_document.machine)) :
      length(document.minified_json) <= 10240
    ])
    error_message = "The inline policies of a role have at most 10,240 characters."
  }
}

run "statement_owner_is_the_role_itself" {
  command = plan

  module {
    source = "./modules/iam"
  }

  assert {
    condition = [
      for statement in jsondecode(data.aws_iam_policy_document.function["statement"].json).Statement : statement
      if statement.Sid == "FollowItsOwnStatements"
    ][0].Condition.StringEquals["redshift-data:statement-owner-iam-userid"] == "$${aws:userid}"
    error_message = "AWS's own variable reaches the policy."
  }
}

run "a_secret_is_read_and_nothing_else" {
  command = plan

  module {
    source = "./modules/iam"
  }

  assert {
    condition = (
      strcontains(data.aws_iam_policy_document.function["statement"].json, "secretsmanager:GetSecretValue")
      && !strcontains(data.aws_iam_policy_document.function["statement"].json, "Credentials")
      && !strcontains(data.aws_iam_policy_document.function["statement"].json, "kms:Decrypt")
    )
    error_message = "With a secret, the function reads it and gets no temporary credentials."
  }

  assert {
    condition = alltrue([
      for key, document in data.aws_iam_policy_document.function :
      !strcontains(document.json, "redshift-data:") && !strcontains(document.json, "secretsmanager:") if key != "statement"
    ])
    error_message = "No other function reaches the warehouse."
  }
}

run "what_ends_executions_and_statements" {
  command = plan

  module {
    source = "./modules/iam"
  }

  assert {
    condition = jsonencode({
      for statement in jsondecode(data.aws_iam_policy_document.function["stop"].json).Statement :
      statement.Sid => sort(flatten([statement.Resource])) if !contains(["WriteItsOwnLogs", "WriteTraces"], statement.Sid)
      }) == jsonencode({
      FindExecutions          = [for key in ["crawl", "pipeline", "statement"] : "arn:aws:states:eu-west-1:111122223333:stateMachine:shop-${key}"]
      StopExecutions          = [for key in ["crawl", "pipeline", "statement"] : "arn:aws:states:eu-west-1:111122223333:execution:shop-${key}:*"]
      HaveStatementsCancelled = ["arn:aws:lambda:eu-west-1:111122223333:function:shop-statement"]
    })
    error_message = "The function stops this detector's executions, and asks the owner of its statements to cancel them."
  }

  assert {
    condition = [
      for statement in jsondecode(data.aws_iam_policy_document.function["statement"].json).Statement :
      statement.Condition.StringEquals["redshift-data:statement-owner-iam-userid"] if contains(flatten([statement.Action]), "redshift-data:CancelStatement")
    ] == ["$${aws:userid}"]
    error_message = "Statements are cancelled by their owner."
  }
}

run "only_the_one_role_is_passed_to_a_cluster" {
  command = plan

  module {
    source = "./modules/iam"
  }

  assert {
    condition = [
      for statement in jsondecode(data.aws_iam_policy_document.function["warehouse_role"].json).Statement :
      [statement.Resource, statement.Condition.StringEquals["iam:PassedToService"]] if statement.Sid == "HandTheRoleToRedshift"
    ] == [["arn:aws:iam::111122223333:role/detectors/shop-unload", "redshift.amazonaws.com"]]
    error_message = "The function hands nothing but the role for UNLOAD to Redshift."
  }
}

run "the_key_of_a_secret" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    redshift = {
      cluster_identifier = "warehouse"
      database           = "sales"
      secret_arn         = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:warehouse-abcdef"
      secret_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/secret"
    }
  }

  assert {
    condition = [
      for statement in jsondecode(data.aws_iam_policy_document.function["statement"].json).Statement : statement.Resource
      if statement.Sid == "DecryptTheSecret"
    ] == ["arn:aws:kms:eu-west-1:111122223333:key/secret"]
    error_message = "The function may decrypt the secret with its key."
  }
}

run "a_user_gets_temporary_credentials" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    redshift = {
      cluster_identifier = "warehouse"
      database           = "sales"
      db_user            = "detector"
    }
  }

  assert {
    condition = [
      for statement in jsondecode(data.aws_iam_policy_document.function["statement"].json).Statement : toset(statement.Resource)
      if statement.Sid == "SignInAsTheUser" && statement.Action == "redshift:GetClusterCredentials"
      ] == [toset([
        "arn:aws:redshift:eu-west-1:111122223333:dbuser:warehouse/detector",
        "arn:aws:redshift:eu-west-1:111122223333:dbname:warehouse/sales",
    ])]
    error_message = "Credentials are for this user and this database."
  }
}

run "the_callers_identity_on_a_cluster" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    redshift = {
      cluster_identifier = "warehouse"
      database           = "sales"
    }
  }

  assert {
    condition = [
      for statement in jsondecode(data.aws_iam_policy_document.function["statement"].json).Statement : statement.Resource
      if try(statement.Action, "") == "redshift:GetClusterCredentialsWithIAM"
    ] == ["arn:aws:redshift:eu-west-1:111122223333:dbname:warehouse/sales"]
    error_message = "Credentials are for this database."
  }
}

run "a_workgroup" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    encryption = { kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/1" }
    redshift = {
      workgroup_name = "warehouse"
      database       = "sales"
      serverless = {
        workgroup_arn = "arn:aws:redshift-serverless:eu-west-1:111122223333:workgroup/0a1b2c3d"
        namespace_arn = "arn:aws:redshift-serverless:eu-west-1:111122223333:namespace/4e5f6a7b"
        iam_role_arns = [
          "arn:aws:iam::111122223333:role/etl",
          "arn:aws:iam::111122223333:role/detectors/shop-unload",
          "arn:aws:iam::111122223333:role/aws-service-role/redshift.amazonaws.com/AWSServiceRoleForRedshift",
        ]
      }
    }
  }

  assert {
    condition = toset([
      for statement in jsondecode(data.aws_iam_policy_document.function["statement"].json).Statement : statement.Sid
      if try(statement.Resource, "") == "arn:aws:redshift-serverless:eu-west-1:111122223333:workgroup/0a1b2c3d"
    ]) == toset(["RunStatements", "SignInAsThisRole"])
    error_message = "The function runs statements on, and signs in to, this one workgroup."
  }

  assert {
    condition = toset(jsondecode(data.aws_iam_policy_document.unload_trust[0].json).Statement[0].Principal.Service) == toset([
      "redshift-serverless.amazonaws.com", "redshift.amazonaws.com",
    ])
    error_message = "Both principals assume the role for a workgroup."
  }

  assert {
    condition = {
      for statement in jsondecode(data.aws_iam_policy_document.function["warehouse_role"].json).Statement :
      statement.Sid => flatten([statement.Resource]) if !contains(["WriteItsOwnLogs", "WriteTraces"], statement.Sid)
      } == {
      FindTheNamespace      = ["arn:aws:redshift-serverless:eu-west-1:111122223333:workgroup/0a1b2c3d"]
      AttachToTheNamespace  = ["arn:aws:redshift-serverless:eu-west-1:111122223333:namespace/4e5f6a7b"]
      HandTheRoleToRedshift = ["arn:aws:iam::111122223333:role/etl", "arn:aws:iam::111122223333:role/detectors/shop-unload"]
      ReportWhatWasDetached = ["arn:aws:sns:eu-west-1:111122223333:shop-operations"]
      UseTheKeyOfTheTopic   = ["arn:aws:kms:eu-west-1:111122223333:key/1"]
    }
    error_message = "The function changes this one namespace, and passes on the roles that it has."
  }

  assert {
    condition = [
      for statement in jsondecode(data.aws_iam_policy_document.function["warehouse_role"].json).Statement :
      keys(statement.Condition) if statement.Sid == "HandTheRoleToRedshift"
    ] == [["StringEqualsIfExists"]]
    error_message = "Redshift Serverless does not name the service that a role is passed to."
  }

  assert {
    condition = alltrue([
      for key, document in data.aws_iam_policy_document.function :
      !strcontains(document.json, "UpdateNamespace") && !strcontains(document.json, "PassRole") if key != "warehouse_role"
    ])
    error_message = "No other function may change the namespace."
  }

  assert {
    condition = !strcontains(jsonencode([
      data.aws_iam_policy_document.function, data.aws_iam_policy_document.unload_trust,
    ]), "workgroup/*") && !strcontains(jsonencode(data.aws_iam_policy_document.function), "role/*")
    error_message = "Nothing is allowed on all workgroups, namespaces or roles."
  }
}

run "a_given_unload_role_is_left_alone" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    unload_role = { create = false, arn = "arn:aws:iam::111122223333:role/analytics" }
  }

  assert {
    condition     = length(aws_iam_role.unload) == 0 && output.unload_role_arn == "arn:aws:iam::111122223333:role/analytics"
    error_message = "A given role is named in UNLOAD and not made."
  }

  assert {
    condition     = output.unload_role_attach_arn == null
    error_message = "A given role is not attached."
  }

  assert {
    condition     = !strcontains(data.aws_iam_policy_document.function["warehouse_role"].json, "redshift") && output.warehouse_role_policy == null
    error_message = "Nobody changes the warehouse where the role is given."
  }
}

run "a_chain_and_the_default_role" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    unload_role = { create = false, arn = "arn:aws:iam::111122223333:role/one,arn:aws:iam::444455556666:role/two" }
  }

  assert {
    condition     = output.unload_role_arn == "arn:aws:iam::111122223333:role/one,arn:aws:iam::444455556666:role/two"
    error_message = "A chain reaches UNLOAD as it is."
  }
}

run "the_default_role" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    unload_role = { create = false, arn = "default" }
  }

  assert {
    condition     = output.unload_role_arn == "default" && output.unload_role_attach_arn == null
    error_message = "The warehouse's default role reaches UNLOAD as `default`."
  }
}

run "without_tracing_no_traces" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    tracing = false
  }

  assert {
    condition = alltrue([
      for document in concat(values(data.aws_iam_policy_document.function), values(data.aws_iam_policy_document.machine)) :
      !strcontains(document.json, "xray:")
    ])
    error_message = "X-Ray is allowed only where traces are written."
  }
}

run "govcloud" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    partition                  = "aws-us-gov"
    region                     = "us-gov-west-1"
    iam                        = { path = "/" }
    bucket_arn                 = "arn:aws-us-gov:s3:::shop-bucket"
    table_arn                  = "arn:aws-us-gov:dynamodb:us-gov-west-1:111122223333:table/shop"
    alerts_topic_arn           = "arn:aws-us-gov:sns:us-gov-west-1:111122223333:shop-alerts"
    operations_topic_arn       = "arn:aws-us-gov:sns:us-gov-west-1:111122223333:shop-operations"
    alert_lambda_function_arns = ["arn:aws-us-gov:lambda:us-gov-west-1:111122223333:function:receiver"]
    dead_letter_queue_arn      = "arn:aws-us-gov:sqs:us-gov-west-1:111122223333:shop-dead-letters"
    encryption                 = { kms_key_arn = "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/1" }
    redshift = {
      workgroup_name = "warehouse"
      database       = "sales"
      serverless = {
        workgroup_arn = "arn:aws-us-gov:redshift-serverless:us-gov-west-1:111122223333:workgroup/0a1b2c3d"
        namespace_arn = "arn:aws-us-gov:redshift-serverless:us-gov-west-1:111122223333:namespace/4e5f6a7b"
        iam_role_arns = []
      }
    }
  }

  assert {
    condition = !strcontains(jsonencode([
      data.aws_iam_policy_document.function, data.aws_iam_policy_document.function_trust,
      data.aws_iam_policy_document.machine, data.aws_iam_policy_document.machine_trust,
      data.aws_iam_policy_document.schedule, data.aws_iam_policy_document.schedule_trust,
      [data.aws_iam_policy_document.unload], data.aws_iam_policy_document.unload_trust,
    ]), "arn:aws:")
    error_message = "No ARN is of another partition."
  }
}

run "plan_with_unknown_arns" {
  command = plan

  module {
    source = "./tests/terraform/iam-unknown-arns"
  }

  assert {
    condition     = length(module.iam.function_role_arns) == 15 && length(module.serverless.function_role_arns) == 15
    error_message = "Nothing but values waits for ARNs that are not known yet."
  }
}

run "topics_under_other_keys" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    alert_sns_topic_arns = ["arn:aws:sns:us-east-1:444455556666:theirs", "arn:aws:sns:eu-west-1:111122223333:ours"]
    alert_kms_key_arns   = ["arn:aws:kms:us-east-1:444455556666:key/1", "arn:aws:kms:eu-west-1:111122223333:key/2"]
  }

  assert {
    condition = [
      for statement in jsondecode(data.aws_iam_policy_document.function["deliver"].json).Statement : statement if statement.Sid == "UseTheKeysOfTargets"
      ] == [{
        Sid      = "UseTheKeysOfTargets"
        Effect   = "Allow"
        Action   = ["kms:GenerateDataKey*", "kms:Decrypt"]
        Resource = ["arn:aws:kms:us-east-1:444455556666:key/1", "arn:aws:kms:eu-west-1:111122223333:key/2"]
        Condition = { StringLike = { "kms:ViaService" = [
          "sns.us-east-1.amazonaws.com*", "secretsmanager.us-east-1.amazonaws.com*",
          "sns.eu-west-1.amazonaws.com*", "secretsmanager.eu-west-1.amazonaws.com*",
        ] } }
    }]
    error_message = "Delivery may use the keys of other topics and secrets, by way of SNS and Secrets Manager in their region only."
  }

  assert {
    condition = !anytrue([
      for key, document in data.aws_iam_policy_document.function : strcontains(document.json, "UseTheKeysOfTargets") if key != "deliver"
    ])
    error_message = "No other function may."
  }
}

run "what_a_given_role_needs" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    unload_role = { create = false, arn = "default" }
    redshift    = { cluster_identifier = "warehouse", database = "sales" }
    encryption  = { kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/1" }
  }

  assert {
    condition = jsonencode({
      for statement in jsondecode(output.unload_role_policy).Statement : statement.Sid => sort(flatten([statement.Action]))
      }) == jsonencode({
      LookAtTheBucket     = ["s3:GetBucketLocation", "s3:GetEncryptionConfiguration", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
      WriteWhatIsUnloaded = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
      UseTheDetectorsKey  = ["kms:Decrypt", "kms:GenerateDataKey"]
    }) && length(aws_iam_role.unload) == 0
    error_message = "The policy of the role is told where the role is given."
  }

  assert {
    condition     = output.sign_in_user == "IAMR:shop-statement"
    error_message = "Without secret and user the functions sign in as their role."
  }
}

run "sign_in_by_secret" {
  command = plan

  module {
    source = "./modules/iam"
  }

  assert {
    condition     = output.sign_in_user == null
    error_message = "With a secret there is no user of the role's name."
  }
}

run "the_console_looks_and_changes_nothing" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    console = true
    tracing = false
  }

  assert {
    condition = jsonencode({
      for statement in data.aws_iam_policy_document.function["console"].statement : statement.sid => sort(statement.actions)
      }) == jsonencode({
      WriteItsOwnLogs        = ["logs:CreateLogStream", "logs:PutLogEvents"]
      UseItemsOfThisDetector = ["dynamodb:GetItem", "dynamodb:Query"]
      ListObjects            = ["s3:ListBucket"]
      ReadObjects            = ["s3:GetObject"]
    })
    error_message = "What people press goes to the function respond, with their own rights."
  }
}

run "a_warehouse_in_another_account" {
  command = plan

  module {
    source = "./modules/iam"
  }

  variables {
    redshift = {
      cluster_identifier = "warehouse"
      database           = "sales"
      role_arn           = "arn:aws:iam::444455556666:role/teams/access"
    }
    unload_role = { create = false, arn = "arn:aws:iam::444455556666:role/attached" }
  }

  assert {
    condition = (
      strcontains(data.aws_iam_policy_document.function["statement"].json, "arn:aws:iam::444455556666:role/teams/access")
      && !strcontains(data.aws_iam_policy_document.function["statement"].json, "redshift")
    )
    error_message = "The function becomes the role there, and may do nothing in a warehouse itself."
  }

  assert {
    condition = toset(flatten([
      for statement in jsondecode(output.warehouse_access_policy).Statement : statement.Resource if statement.Resource != "*"
      ])) == toset([
      "arn:aws:redshift:eu-west-1:444455556666:cluster:warehouse",
      "arn:aws:redshift:eu-west-1:444455556666:dbname:warehouse/sales",
    ])
    error_message = "The role there may run statements on the one cluster of its account; got ${output.warehouse_access_policy}."
  }

  assert {
    condition     = output.sign_in_user == "IAMR:access"
    error_message = "The database user is the role there; got ${output.sign_in_user}."
  }
}
