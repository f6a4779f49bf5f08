"""Makes a bucket on an S3 server and checks what checkpoints rest on: conditional writes.

usage: s3_bucket.py http://host:port bucket

Fails while the server does not answer yet, and for good when it accepts what it must refuse: a
second creation of the same object, or a write against a stale ETag. Leaves the bucket empty.
"""

import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

URL, BUCKET = sys.argv[1:]
KEY = "check/conditional"
client = boto3.client(
    "s3",
    endpoint_url=URL,
    aws_access_key_id="any",
    aws_secret_access_key="any",
    region_name="us-east-1",
    config=Config(s3={"addressing_style": "path"}, connect_timeout=2, retries={"max_attempts": 1}),
)


def must_refuse(what, **condition):
    try:
        client.put_object(Bucket=BUCKET, Key=KEY, Body=b"refused", **condition)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412):
            return
        raise
    sys.exit(f"{URL} accepted {what}")


client.create_bucket(Bucket=BUCKET)
first = client.put_object(Bucket=BUCKET, Key=KEY, Body=b"1", IfNoneMatch="*")["ETag"]
must_refuse("a second creation of an object", IfNoneMatch="*")
client.put_object(Bucket=BUCKET, Key=KEY, Body=b"2", IfMatch=first)
must_refuse("a write against a stale ETag", IfMatch=first)
found = client.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()
if found != b"2":
    sys.exit(f"{URL} holds {found!r} after a conditional write of b'2'")
client.delete_object(Bucket=BUCKET, Key=KEY)
print(f"{URL}/{BUCKET} refuses conditional writes as it must")
