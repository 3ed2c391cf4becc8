namespace Trainer.Models;

/// <summary>Learned numbers of one component.</summary>
/// <param name="Name">What it is: embedding, position, attention, feedForward, norms, head.</param>
/// <param name="Parameters">Learned numbers, over all layers.</param>
public sealed record ComponentParameters(string Name, long Parameters);
