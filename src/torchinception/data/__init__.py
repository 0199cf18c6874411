"""Pictures in: one gate for every image, class folders, one preprocessing, batches that resume exactly."""
