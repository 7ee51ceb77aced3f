"""A model as an AWS Lambda function: a handler, and the zip that holds all it needs."""
