"""One module per Lambda function: parse the event, call one service, answer. No logic."""
