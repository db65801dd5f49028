"""What may be said: one typed struct per request and response, every limit as data, no IO.

Written from Amazon SageMaker's and AWS STS's public API references; a test holds every member, type, enum and limit
against botocore's service models.
"""
