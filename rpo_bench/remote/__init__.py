"""Access to the hub and to servers, with secrets removed from all texts."""
