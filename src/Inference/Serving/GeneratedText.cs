using Trainer.Data.Tokenizers;

namespace Trainer.Inference.Serving;

/// <summary>A piece of a text.</summary>
/// <param name="Text">May be empty: a character that is not whole, or what may be the beginning of a stop.</param>
/// <param name="Token">The token behind it; null for the end of a text whose last token was not drawn.</param>
/// <param name="Finish">Why the text ends with it; null where it goes on.</param>
/// <param name="Held">Characters before the token's own that may be the beginning of a stop, and are in this piece or a later one.</param>
public readonly record struct TextPiece(string Text, GeneratedToken? Token, FinishReason? Finish, int Held);

/// <summary>A text that is being generated, in pieces of whole characters, up to the first of the texts that end it: one piece a token,
/// and the last says why it ends. To be read once.</summary>
/// <remarks>Not thread-safe. Reading to the end or disposing of it ends the work on it.</remarks>
public sealed class GeneratedText : IAsyncEnumerable<TextPiece>, IDisposable
{
    private readonly GenerationStream tokens;
    private readonly TextAssembler text;
    private readonly IReadOnlySet<int> hidden;

    internal GeneratedText(GenerationRequest request, GenerationStream tokens, StreamingDecoder decoder, IReadOnlyList<string> stops)
    {
        (this.tokens, text, hidden) = (tokens, new(decoder, stops), request.HiddenTokens);
        PromptTokens = (request.Source ?? request.Prompt).Count;
    }

    /// <summary>Tokens of what it answers or continues.</summary>
    public int PromptTokens { get; }

    /// <summary>Those of them that an earlier prompt began with, too, so that they needed no reading; known with the first token.</summary>
    public int SharedTokens => tokens.SharedTokens;

    /// <summary>Tokens generated so far, without that which ended it.</summary>
    public int Tokens { get; private set; }

    /// <inheritdoc/>
    public async IAsyncEnumerator<TextPiece> GetAsyncEnumerator(CancellationToken cancellationToken = default)
    {
        try
        {
            await foreach (GeneratedToken token in tokens.WithCancellation(cancellationToken))
            {
                int held = text.Held;
                string piece = token.Id < 0 || hidden.Contains(token.Id) ? "" : text.Push(token.Id);
                if (token.Id >= 0) Tokens++;
                if (token.Finish is not null) piece += text.Flush();
                bool stops = text.HasStopped;
                yield return new(piece, token.Id < 0 ? null : token, stops ? FinishReason.Stop : token.Finish, held);
                if (stops) break;
            }
        }
        finally
        {
            Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => tokens.Dispose();
}
