namespace Trainer.Checkpoints;

/// <summary>One file of a checkpoint that is to be written.</summary>
/// <param name="Name">Its file name.</param>
/// <param name="Write">Writes it at the path given.</param>
public sealed record CheckpointPart(string Name, Action<string> Write);
