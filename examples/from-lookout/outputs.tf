output "ignored" {
  description = "Keys of params.json that have no effect, each with the reason."
  value       = module.connector.ignored
}
