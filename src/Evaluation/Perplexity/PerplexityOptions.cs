using Trainer.Configuration;

namespace Trainer.Evaluation.Perplexity;

/// <summary>How a text is cut into what the model sees at once.</summary>
/// <remarks>A window is the tokens that a model is given; it predicts the token after each of them. Consecutive windows begin
/// <see cref="Stride"/> tokens apart, and each scores only what the ones before it did not, so that every token is scored once.
/// With stride = window the windows are disjoint (ALiBi's nonoverlapping inference, Press et al. 2022, arXiv 2108.12409, §B): the fastest,
/// but the first tokens of each window are predicted from little. A smaller stride is a sliding window: every token but those
/// of the first window is predicted from at least window − stride + 1 tokens, at window/stride times the work. Figures compare only where both agree.</remarks>
public sealed record PerplexityOptions : IValidated
{
    /// <summary>Tokens that the model is given at once, N.</summary>
    public required int Window { get; init; }

    /// <summary>Tokens between the beginnings of windows, 1 … N.</summary>
    public required int Stride { get; init; }

    /// <summary>How many of the first tokens of a window the model reads together, so that it cannot be asked to predict them; 1 for the first
    /// alone. The windows after the first overlap by these, and the text's own first ones are not scored.</summary>
    public int Prefix { get; init; } = 1;

    /// <summary>The token before the text; <c>null</c>: none, and the first token is not scored.</summary>
    public BeginningOfSequence? Beginning { get; init; }

    /// <summary>Whether each document is scored by itself; otherwise the text is one, and windows cross from document to document.</summary>
    public bool Documents { get; init; }

    /// <summary>How many parts of the window the loss by position is told for, at most.</summary>
    public int Bins { get; init; } = 16;

    /// <summary>Whole windows that do not overlap.</summary>
    /// <param name="window">Tokens that the model is given at once.</param>
    public static PerplexityOptions Disjoint(int window) => new() { Window = window, Stride = window };

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Window < 1) yield return new("window", $"window ({Window}) must be 1 or more");
        if (Stride < 1) yield return new("stride", $"stride ({Stride}) must be 1 or more");
        else if (Window >= 1 && Stride > Window)
            yield return new("stride", $"stride ({Stride}) must be at most window ({Window}), or tokens between windows would not be scored; use --stride {Window} for windows that do not overlap");
        if (Prefix < 1) yield return new("prefix", $"prefix ({Prefix}) must be 1 or more");
        else if (Window >= 1 && Prefix > Window)
            yield return new("window", $"window ({Window}) must be at least the {Prefix} tokens that the model reads together (attention pattern 'prefix'), or no token is predicted; use {Prefix} or more");
        else if (Stride <= Window && Stride > Window - Prefix + 1)
            yield return new("stride", $"stride ({Stride}) must be at most {Window - Prefix + 1}, or tokens would not be scored: of each window of {Window} the model reads the first {Prefix} together (attention pattern 'prefix') and cannot be asked for them");
        if (Bins < 1) yield return new("bins", $"bins ({Bins}) must be 1 or more");
    }
}
