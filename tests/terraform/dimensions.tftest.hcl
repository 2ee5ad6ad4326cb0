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

run "dimensions_0" {
  command = plan

  variables {
    dimensions = [for i in range(0) : "dimension_${i}"]
  }
}

run "dimensions_1" {
  command = plan

  variables {
    dimensions = [for i in range(1) : "dimension_${i}"]
  }
}

run "dimensions_2" {
  command = plan

  variables {
    dimensions = [for i in range(2) : "dimension_${i}"]
  }
}

run "dimensions_3" {
  command = plan

  variables {
    dimensions = [for i in range(3) : "dimension_${i}"]
  }
}

run "dimensions_4" {
  command = plan

  variables {
    dimensions = [for i in range(4) : "dimension_${i}"]
  }
}

run "dimensions_5" {
  command = plan

  variables {
    dimensions = [for i in range(5) : "dimension_${i}"]
  }
}

run "dimensions_6" {
  command = plan

  variables {
    dimensions = [for i in range(6) : "dimension_${i}"]
  }
}

run "dimensions_7" {
  command = plan

  variables {
    dimensions = [for i in range(7) : "dimension_${i}"]
  }
}

run "dimensions_8" {
  command = plan

  variables {
    dimensions = [for i in range(8) : "dimension_${i}"]
  }
}

run "dimensions_9" {
  command = plan

  variables {
    dimensions = [for i in range(9) : "dimension_${i}"]
  }
}

run "dimensions_10" {
  command = plan

  variables {
    dimensions = [for i in range(10) : "dimension_${i}"]
  }
}
