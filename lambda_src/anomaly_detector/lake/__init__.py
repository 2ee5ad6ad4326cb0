"""The bucket: where things lie, reading what the warehouse landed, writing what was found."""
