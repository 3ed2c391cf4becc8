namespace Trainer.Models.Attention.Patterns;

/// <summary>How far back a pattern sees: what is neither among the last nor among the first positions is never seen again.</summary>
/// <param name="Window">How many of the last positions a position sees, itself included.</param>
/// <param name="Sinks">How many of the first positions it sees for good.</param>
internal readonly record struct Horizon(int Window, int Sinks);
