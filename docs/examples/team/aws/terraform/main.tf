# Written by cloudtun from the catalogue default for AWS 000000000000 ap-northeast-1 (assumed): change cloudtun.yaml, not this.

terraform {
  required_providers {
    aws = {
      "source" = "hashicorp/aws"
      "version" = ">= 5.40"
    }
  }
}

provider "aws" {
  region = "ap-northeast-1"
}

resource "aws_ssm_document" "cloudtun_prod_ap_northeast_1" {
  name = "cloudtun-prod"
  document_type = "Session"
  document_format = "JSON"
  content = <<-EOT
    {
      "schemaVersion": "1.0",
      "description": "cloudtun: prod via tag:role=bastion, port fixed",
      "sessionType": "Port",
      "parameters": {
        "localPortNumber": {
          "type": "String",
          "description": "local listener, client side only",
          "allowedPattern": "^(0|[1-9][0-9]{0,4})$",
          "default": "0"
        }
      },
      "properties": {
        "type": "LocalPortForwarding",
        "host": "orders-prod.ap-northeast-1.rds.amazonaws.com",
        "portNumber": "3306",
        "localPortNumber": "{{ localPortNumber }}"
      }
    }
  EOT
  version_name = "cloudtun-59e3a4d4cf925dac"
  tags = {
    "cloudtun:catalogue" = "default"
    "cloudtun:target" = "connect prod"
  }
}

resource "aws_iam_policy" "cloudtun_readers" {
  name = "cloudtun-readers"
  description = "connect prod, with their own documents only; own sessions; rds-db:connect app_reader; no shell, other document, command, tag or document change; until 2027-03-31"
  policy = <<-EOT
    {
      "Version": "2012-10-17",
      "Statement": [
        {
          "Sid": "StartRoleBastionTagged",
          "Effect": "Allow",
          "Action": "ssm:StartSession",
          "Resource": "arn:aws:ec2:ap-northeast-1:000000000000:instance/*",
          "Condition": {
            "BoolIfExists": {
              "ssm:SessionDocumentAccessCheck": "true"
            },
            "StringEquals": {
              "ssm:resourceTag/role": "bastion"
            },
            "DateLessThan": {
              "aws:CurrentTime": "2027-04-01T00:00:00Z"
            }
          }
        },
        {
          "Sid": "StartRoleBastionDocuments",
          "Effect": "Allow",
          "Action": "ssm:StartSession",
          "Resource": [
            "arn:aws:ssm:ap-northeast-1:000000000000:document/cloudtun-prod"
          ],
          "Condition": {
            "BoolIfExists": {
              "ssm:SessionDocumentAccessCheck": "true"
            },
            "DateLessThan": {
              "aws:CurrentTime": "2027-04-01T00:00:00Z"
            }
          }
        },
        {
          "Sid": "OwnDataChannel",
          "Effect": "Allow",
          "Action": "ssmmessages:OpenDataChannel",
          "Resource": [
            "arn:aws:ssm:ap-northeast-1:000000000000:session/$${aws:userid}-*"
          ],
          "Condition": {
            "DateLessThan": {
              "aws:CurrentTime": "2027-04-01T00:00:00Z"
            }
          }
        },
        {
          "Sid": "OwnDataChannelByTag",
          "Effect": "Allow",
          "Action": "ssmmessages:OpenDataChannel",
          "Resource": [
            "arn:aws:ssm:ap-northeast-1:000000000000:session/*"
          ],
          "Condition": {
            "StringEqualsIfExists": {
              "ssm:resourceTag/aws:ssmmessages:session-id": "$${aws:userid}"
            },
            "DateLessThan": {
              "aws:CurrentTime": "2027-04-01T00:00:00Z"
            }
          }
        },
        {
          "Sid": "OwnSessions",
          "Effect": "Allow",
          "Action": [
            "ssm:ResumeSession",
            "ssm:TerminateSession"
          ],
          "Resource": [
            "arn:aws:ssm:ap-northeast-1:000000000000:session/*"
          ],
          "Condition": {
            "StringEquals": {
              "ssm:resourceTag/aws:ssmmessages:session-id": "$${aws:userid}"
            },
            "DateLessThan": {
              "aws:CurrentTime": "2027-04-01T00:00:00Z"
            }
          }
        },
        {
          "Sid": "DatabaseLogin",
          "Effect": "Allow",
          "Action": "rds-db:connect",
          "Resource": [
            "arn:aws:rds-db:ap-northeast-1:000000000000:dbuser:db-of-orders-prod/app_reader"
          ],
          "Condition": {
            "DateLessThan": {
              "aws:CurrentTime": "2027-04-01T00:00:00Z"
            }
          }
        },
        {
          "Sid": "FindTheWay",
          "Effect": "Allow",
          "Action": [
            "ec2:DescribeImages",
            "ec2:DescribeInstances",
            "ec2:DescribeNetworkAcls",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "rds:DescribeDBClusterEndpoints",
            "rds:DescribeDBClusters",
            "rds:DescribeDBInstances",
            "rds:DescribeDBProxies",
            "rds:DescribeDBProxyEndpoints",
            "rds:DescribeDBSubnetGroups",
            "rds:ListTagsForResource",
            "ssm:DescribeInstanceInformation"
          ],
          "Resource": "*",
          "Condition": {
            "DateLessThan": {
              "aws:CurrentTime": "2027-04-01T00:00:00Z"
            }
          }
        },
        {
          "Sid": "ReadOwnDocuments",
          "Effect": "Allow",
          "Action": [
            "ssm:DescribeDocument",
            "ssm:GetDocument"
          ],
          "Resource": [
            "arn:aws:ssm:ap-northeast-1:000000000000:document/cloudtun-prod"
          ],
          "Condition": {
            "DateLessThan": {
              "aws:CurrentTime": "2027-04-01T00:00:00Z"
            }
          }
        },
        {
          "Sid": "NoOtherDocuments",
          "Effect": "Deny",
          "Action": "ssm:StartSession",
          "Resource": [
            "arn:aws:ssm:*:*:document/AWS-StartSSHSession",
            "arn:aws:ssm:*:*:document/AWS-StartInteractiveCommand",
            "arn:aws:ssm:*:*:document/AWS-StartNonInteractiveCommand",
            "arn:aws:ssm:*:*:document/AWS-StartPortForwardingSession",
            "arn:aws:ssm:*:*:document/AWS-StartPortForwardingSessionToRemoteHost",
            "arn:aws:ssm:*:*:document/AWS-StartPortForwardingSessionToSocket",
            "arn:aws:ssm:*:000000000000:document/SSM-SessionManagerRunShell"
          ]
        },
        {
          "Sid": "NoWayAround",
          "Effect": "Deny",
          "Action": [
            "ssm:AddTagsToResource",
            "ssm:CancelCommand",
            "ssm:CreateActivation",
            "ssm:CreateAssociation",
            "ssm:CreateDocument",
            "ssm:DeleteDocument",
            "ssm:ModifyDocumentPermission",
            "ssm:RemoveTagsFromResource",
            "ssm:SendCommand",
            "ssm:StartAutomationExecution",
            "ssm:UpdateDocument",
            "ssm:UpdateDocumentDefaultVersion",
            "ec2-instance-connect:*"
          ],
          "Resource": "*"
        },
        {
          "Sid": "NoTagChanges",
          "Effect": "Deny",
          "Action": [
            "ec2:CreateTags",
            "ec2:DeleteTags"
          ],
          "Resource": "*",
          "Condition": {
            "ForAnyValue:StringEqualsIgnoreCase": {
              "aws:TagKeys": [
                "role"
              ]
            }
          }
        }
      ]
    }
  EOT
  tags = {
    "cloudtun:catalogue" = "default"
    "cloudtun:team" = "readers"
  }
}

# Identity Center is asked from account 000000000000 or wherever it is administered.
data "aws_ssoadmin_instances" "this" {}

data "aws_ssoadmin_permission_set" "readers" {
  instance_arn = tolist(data.aws_ssoadmin_instances.this.arns)[0]
  name = "readers"
}

resource "aws_ssoadmin_customer_managed_policy_attachment" "permissionSet_readers_cloudtun_readers" {
  instance_arn = tolist(data.aws_ssoadmin_instances.this.arns)[0]
  permission_set_arn = data.aws_ssoadmin_permission_set.readers.arn
  customer_managed_policy_reference {
    name = aws_iam_policy.cloudtun_readers.name
    path = "/"
  }
}
