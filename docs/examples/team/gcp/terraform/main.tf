# Written by cloudtun from the catalogue default for Google Cloud acme (assumed): change cloudtun.yaml, not this.

terraform {
  required_providers {
    google = {
      "source" = "hashicorp/google"
      "version" = ">= 6.0"
    }
  }
}

provider "google" {
  project = "acme"
}

resource "google_project_iam_custom_role" "cloudtun_default_viewer" {
  project = "acme"
  role_id = "cloudtun_default_viewer"
  title = "cloudtun viewer"
  description = "cloudtun/default: what finding a tunnel's way needs"
  permissions = ["cloudsql.instances.get", "cloudsql.instances.list", "compute.firewalls.list", "compute.instances.get", "compute.instances.getGuestAttributes", "compute.instances.list", "compute.projects.get", "iap.tunnelDestGroups.get", "iap.tunnelDestGroups.list"]
}

resource "google_iap_tunnel_instance_iam_member" "cloudtun_default_readers_logs_app_iap_tunnelResourceAccessor_group_readers_example_com" {
  project = "acme"
  zone = "asia-northeast1-a"
  instance = "web-1"
  role = "roles/iap.tunnelResourceAccessor"
  member = "group:readers@example.com"
  condition {
    title = "cloudtun/default/readers/logs app"
    expression = "destination.port == 22 && request.time < timestamp(\"2027-04-01T00:00:00Z\")"
  }
}

resource "google_compute_instance_iam_member" "cloudtun_default_readers_logs_app_compute_osLogin_group_readers_example_com" {
  project = "acme"
  zone = "asia-northeast1-a"
  instance_name = "web-1"
  role = "roles/compute.osLogin"
  member = "group:readers@example.com"
  condition {
    title = "cloudtun/default/readers/logs app"
    expression = "request.time < timestamp(\"2027-04-01T00:00:00Z\")"
  }
}

resource "google_project_iam_member" "cloudtun_default_readers_cloudtun_default_viewer_group_readers_example_com" {
  project = "acme"
  role = google_project_iam_custom_role.cloudtun_default_viewer.name
  member = "group:readers@example.com"
  condition {
    title = "cloudtun/default/readers"
    expression = "request.time < timestamp(\"2027-04-01T00:00:00Z\")"
  }
}
