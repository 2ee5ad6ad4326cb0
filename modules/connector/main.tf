locals {
  # Windows' editors begin a file with a byte order mark.
  params = jsondecode(trimprefix(var.params_json, "\uFEFF"))

  # The Lookout for Metrics name, converted to a valid detector name; a name that is shortened or too short gets a hash.
  slug = trim(replace(lower(local.params.detector_name), "/[^a-z0-9]+/", "-"), "-")
  hash = substr(sha256(local.params.detector_name), 0, 6)
  full = can(regex("^[a-z]", local.slug)) ? local.slug : trimsuffix("detector-${local.slug}", "-")
  name = (
    length(local.full) > 32 ? "${trimsuffix(substr(local.full, 0, 25), "-")}-${local.hash}" :
    length(local.full) < 3 || local.slug == "" ? "${local.full}-${local.hash}" :
    local.full
  )

  alert_name = try(coalesce(tostring(local.params.alert_name)), null)

  taken = [
    "detector_name", "detector_description", "detector_frequency", "timestamp_column", "dimension_list", "metrics_set",
    "alert_name", "alert_threshold", "alert_description", "alert_lambda_arn", "offset", "secret_name",
  ]
  without_meaning = {
    database_type = "The warehouse is Amazon Redshift."
    metric_source = "Rows are unloaded as Parquet to the module's own bucket."
    s3_bucket     = "The module creates its own bucket; storage.bucket_name sets its name."
  }
  ignored = merge(
    { for key in keys(local.params) : key => lookup(local.without_meaning, key, "The key is unknown.") if !contains(local.taken, key) },
    can(local.params.timestamp_column.ColumnFormat) ? {
      "timestamp_column.ColumnFormat" = "It described the CSV files; timestamp_column.format is for a text column in the warehouse."
    } : {},
    {
      for key in ["alert_threshold", "alert_description", "alert_lambda_arn"] :
      key => "There is no alert_name." if local.alert_name == null && can(local.params[key])
    },
  )
}
