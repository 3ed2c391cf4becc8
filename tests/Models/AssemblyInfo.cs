// The global generator and the count of live tensors belong to the process: tests that use them run one after the other.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
