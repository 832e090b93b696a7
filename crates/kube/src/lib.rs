//! A small Kubernetes API client: requests as values, one sender, every kubeconfig credential.
