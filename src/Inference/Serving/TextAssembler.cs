using Trainer.Data.Tokenizers;

namespace Trainer.Inference.Serving;

/// <summary>Makes text of tokens, up to the first of the texts that end it.</summary>
/// <param name="decoder">Of the tokens.</param>
/// <param name="stops">Texts that end it, and are not part of it.</param>
internal sealed class TextAssembler(StreamingDecoder decoder, IReadOnlyList<string> stops)
{
    private string held = ""; // may be the beginning of a stop

    /// <summary>Characters that are not returned yet, because a stop may begin with them.</summary>
    public int Held => held.Length;

    /// <summary>Whether a stop was found: nothing follows.</summary>
    public bool HasStopped { get; private set; }

    /// <summary>Takes a token, and returns the text that is certain now.</summary>
    public string Push(int id) => Take(decoder.Push(id));

    /// <summary>Ends the text, and returns what is left of it.</summary>
    public string Flush()
    {
        string rest = Take(decoder.Flush()) + held; // nothing is held behind a stop
        held = "";
        return rest;
    }

    private string Take(string piece)
    {
        if (HasStopped) return "";
        string text = held + piece;
        int end = stops.Select(stop => text.IndexOf(stop, StringComparison.Ordinal)).Where(found => found >= 0).DefaultIfEmpty(-1).Min();
        if (end >= 0)
        {
            (HasStopped, held) = (true, "");
            return text[..end];
        }
        int certain = text.Length - stops.Select(stop => Overlap(text, stop)).DefaultIfEmpty(0).Max();
        held = text[certain..];
        return text[..certain];
    }

    // The longest end of the text that is a beginning of the stop.
    private static int Overlap(string text, string stop)
    {
        for (int length = Math.Min(text.Length, stop.Length - 1); length > 0; length--)
            if (text.AsSpan(text.Length - length).SequenceEqual(stop.AsSpan(0, length))) return length;
        return 0;
    }
}
