namespace Trainer.Models;

/// <summary>A stack of blocks, resolved from a model's options.</summary>
/// <param name="Role">What it is called: decoder or encoder.</param>
/// <param name="Layers">Its layers, from the first.</param>
internal sealed record StackOptions(string Role, IReadOnlyList<LayerOptions> Layers)
{
    /// <summary>The stack that predicts the next token.</summary>
    public const string Decoder = "decoder";

    /// <summary>The stack that reads a whole text at once.</summary>
    public const string Encoder = "encoder";

    /// <summary>Whether no position sees a later one.</summary>
    public bool IsCausal => Role == Decoder;
}
