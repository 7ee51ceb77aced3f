"""Container images, Kubernetes manifests, AWS Lambda packages."""
