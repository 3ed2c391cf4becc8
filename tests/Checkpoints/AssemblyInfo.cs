// Live tensors are counted by process: tests run one after the other.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
