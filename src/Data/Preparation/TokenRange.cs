namespace Trainer.Data;

/// <summary>Where the tokens of one source lie in a shard.</summary>
/// <param name="Name">The source's name, for messages.</param>
/// <param name="Start">The index of its first token.</param>
/// <param name="Length">How many tokens it has; 0 when all of it was held out.</param>
public sealed record TokenRange(string Name, long Start, long Length);
