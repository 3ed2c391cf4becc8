namespace Trainer.Training.Tests;

/// <summary>Tests that measure what the process takes: nothing else runs beside them.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
