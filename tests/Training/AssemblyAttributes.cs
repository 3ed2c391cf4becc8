// libtorch's default random generator and its deterministic mode belong to the process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
