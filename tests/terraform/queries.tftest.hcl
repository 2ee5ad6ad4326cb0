mock_provider "aws" {
  source = "./tests/terraform/mocks/aws"
}

variables {
  name             = "shop"
  redshift         = { cluster_identifier = "analytics", database = "prod" }
  query            = "select * from orders where ts >= {{ window_start }} and ts < {{ window_end }}"
  timestamp_column = { name = "ts" }
  measures         = { revenue = {} }
  interval         = "PT1H"
}

run "leading_comments" {
  command = plan

  variables {
    query = <<-SQL
      -- revenue; by hour
      /* and
         views; */
      SELECT * FROM orders WHERE ts >= {{window_start}} AND ts < {{window_end}}
    SQL
  }
}

run "common_table_expression" {
  command = plan

  variables {
    query = "with a as (select * from orders) select * from a where ts >= {{ window_start }} and ts < {{ window_end }}"
  }
}

run "semicolon_at_the_end" {
  command = plan

  variables {
    query = "select * from orders where ts >= {{ window_start }} and ts < {{ window_end }};\n ; -- done\n"
  }
}

run "semicolons_in_texts_names_and_comments" {
  command = plan

  variables {
    query = <<-SQL
      select ts, ';' as a, 'it''s; fine' as b, $$;x$$ as c, "odd;name", 'a\';b' as d /* ; e */ -- ; f
      from orders where ts >= {{ window_start }} and ts < {{ window_end }}
    SQL
  }
}

run "backslash_before_the_quote" {
  command = plan

  variables {
    query = "select '\\' as a, ';x' as b from orders where ts >= {{ window_start }} and ts < {{ window_end }}"
  }
}

run "user_of_a_cluster" {
  command = plan

  variables {
    redshift = { cluster_identifier = "analytics", database = "prod", db_user = "watcher" }
  }
}

run "default_role" {
  command = plan

  variables {
    redshift = { workgroup_name = "analytics", database = "prod", unload_role = { create = false, arn = "default" } }
  }
}
