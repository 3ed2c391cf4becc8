namespace Trainer.Models;

/// <summary>Learned numbers of one component over all layers: embedding, position, attention, feedForward, norms or head.</summary>
public sealed record ComponentParameters(string Name, long Parameters);
