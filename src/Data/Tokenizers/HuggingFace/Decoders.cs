using System.Globalization;
using System.Text;

namespace Trainer.Data.Tokenizers.HuggingFace;

/// <summary>One stage of decoding, fed token by token so that text is emitted as soon as it is certain.</summary>
internal abstract class DecoderStage
{
    public DecoderStage Next { get; init; } = null!;

    /// <summary>Takes a token or part of one. <paramref name="begins"/> is false where a fused token continues.</summary>
    public abstract void Push(string text, bool begins);

    /// <summary>Ends the sequence: emits what was held back and resets for the next.</summary>
    public virtual void Flush() => Next.Flush();
}

/// <summary>Builds decoder stages from their JSON; add new kinds here.</summary>
internal static class DecoderReader
{
    /// <summary>The stages of a decoder, nested sequences flattened; null is the default, which joins tokens with spaces.</summary>
    public static IReadOnlyList<JsonSection?> Flatten(JsonSection? section) =>
        section?.Text("type") == "Sequence" ? [.. section.Sections("decoders").SelectMany(Flatten)] : [section];

    public static DecoderStage Create(IReadOnlyList<JsonSection?> parts, DecoderStage end)
    {
        var stage = end;
        for (var i = parts.Count - 1; i >= 0; i--)
        {
            var fused = parts.Take(i).Any(before => before?.Text("type") is "Fuse" or "ByteLevel");
            stage = Create(parts[i], stage);
            if (fused && stage is not (FuseStage or StripStage))
                stage = new GatherStage { Next = stage };
        }
        return stage;
    }

    private static DecoderStage Create(JsonSection? section, DecoderStage next)
    {
        DecoderStage Tokens(Func<string, bool, string> rewrite) => new TokenStage(rewrite) { Next = next };
        return section?.Text("type") switch
        {
            null => Tokens((token, first) => first ? token : " " + token),
            "ByteLevel" => new ByteLevelStage { Next = next },
            "WordPiece" => Tokens(WordPiece(section.OptionalText("prefix") ?? "##", section.Flag("cleanup", true))),
            "Metaspace" => Tokens(Metaspace(section)),
            "BPEDecoder" => new SuffixStage(section.OptionalText("suffix") ?? "</w>") { Next = next },
            "ByteFallback" => new ByteFallbackStage { Next = next },
            "Fuse" => new FuseStage { Next = next },
            "Strip" => Strip(section, next),
            "Replace" => Tokens(Replace(section)),
            var type => throw section.Unsupported($"the decoder {type}"),
        };
    }

    private static Func<string, bool, string> WordPiece(string prefix, bool cleanup) => (token, first) =>
    {
        var text = first ? token : token.StartsWith(prefix, StringComparison.Ordinal) ? token[prefix.Length..] : " " + token;
        return cleanup ? CleanUp(text) : text;
    };

    private static string CleanUp(string text) => text.Contains(' ')
        ? text.Replace(" .", ".").Replace(" ?", "?").Replace(" !", "!").Replace(" ,", ",").Replace(" ' ", "'").Replace(" n't", "n't")
            .Replace(" 'm", "'m").Replace(" do not", " don't").Replace(" 's", "'s").Replace(" 've", "'ve").Replace(" 're", "'re")
        : text;

    private static Func<string, bool, string> Metaspace(JsonSection section)
    {
        var replacement = section.Character("replacement", "\u2581");
        var prepended = PrependSchemeReader.Read(section) != PrependScheme.Never;
        return (token, first) => token.Replace(replacement, first && prepended ? "" : " ", StringComparison.Ordinal);
    }

    private static Func<string, bool, string> Replace(JsonSection section)
    {
        var normalizer = ReplaceNormalizer.Of(TextPattern.Of(section), section.Text("content"));
        return (token, _) => normalizer.Apply(token);
    }

    private static DecoderStage Strip(JsonSection section, DecoderStage next)
    {
        var content = section.Character("content", null);
        var (start, stop) = (section.Count("start", 0), section.Count("stop", 0));
        if (content.Length == 1 && stop == 0)
            return new StripStage(content[0], start) { Next = next };
        return new TokenStage((token, _) =>
        {
            for (var count = 0; count < start && token.StartsWith(content, StringComparison.Ordinal); count++)
                token = token[content.Length..];
            for (var count = 0; count < stop && token.EndsWith(content, StringComparison.Ordinal); count++)
                token = token[..^content.Length];
            return token;
        }) { Next = next };
    }
}

internal sealed class TokenStage(Func<string, bool, string> rewrite) : DecoderStage
{
    private bool started;

    public override void Push(string text, bool begins)
    {
        Next.Push(rewrite(text, !started), begins);
        started = true;
    }

    public override void Flush()
    {
        started = false;
        base.Flush();
    }
}

/// <summary>ByteLevel: symbols are bytes, which together form UTF-8. Tokens with other characters stand for their own UTF-8.</summary>
internal sealed class ByteLevelStage : DecoderStage
{
    private readonly Decoder decoder = Encoding.UTF8.GetDecoder();
    private bool started;

    public override void Push(string text, bool begins) => Emit(Bytes(text), flush: false);

    public override void Flush()
    {
        Emit([], flush: true);
        started = false;
        base.Flush();
    }

    public static byte[] Bytes(string token)
    {
        var bytes = new byte[token.Length];
        for (var i = 0; i < bytes.Length; i++)
            if (!ByteLevelAlphabet.TryGetByte(token[i], out bytes[i]))
                return Encoding.UTF8.GetBytes(token);
        return bytes;
    }

    private void Emit(byte[] bytes, bool flush)
    {
        var characters = new char[decoder.GetCharCount(bytes, flush)];
        var count = decoder.GetChars(bytes, characters, flush);
        if (count == 0)
            return;
        Next.Push(new string(characters, 0, count), begins: !started);
        started = true;
    }
}

/// <summary>ByteFallback: runs of tokens such as &lt;0x0A&gt; are UTF-8, or one U+FFFD per byte if invalid; held until they end.</summary>
internal sealed class ByteFallbackStage : DecoderStage
{
    private static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    private readonly List<byte> run = [];

    public override void Push(string text, bool begins)
    {
        if (Byte(text) is { } value)
        {
            run.Add(value);
            return;
        }
        EndRun();
        Next.Push(text, begins);
    }

    public override void Flush()
    {
        EndRun();
        base.Flush();
    }

    public static byte? Byte(string token)
    {
        if (token is not ['<', '0', 'x', var high, var low, '>'])
            return null;
        if (high == '+' && char.IsAsciiHexDigit(low))   // Rust also parses a sign
            high = '0';
        return byte.TryParse([high, low], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) ? value : null;
    }

    private void EndRun()
    {
        if (run.Count == 0)
            return;
        var bytes = run.ToArray();
        run.Clear();
        try
        {
            Next.Push(Strict.GetString(bytes), begins: true);
        }
        catch (DecoderFallbackException)
        {
            foreach (var _ in bytes)
                Next.Push("\uFFFD", begins: true);
        }
    }
}

/// <summary>BPEDecoder: the suffix that ends words becomes a space, or nothing at the end of the sequence.</summary>
internal sealed class SuffixStage(string suffix) : DecoderStage
{
    private string? held;

    public override void Push(string text, bool begins)
    {
        Release(" ");
        held = text;
    }

    public override void Flush()
    {
        Release("");
        held = null;
        base.Flush();
    }

    private void Release(string space)
    {
        if (held is not null)
            Next.Push(suffix.Length == 0 ? held : held.Replace(suffix, space, StringComparison.Ordinal), begins: true);
    }
}

internal sealed class StripStage(char content, int most) : DecoderStage
{
    private int left;

    public override void Push(string text, bool begins)
    {
        if (begins)
            left = most;
        var cut = 0;
        while (left > 0 && cut < text.Length)
        {
            if (text[cut] != content)
            {
                left = 0;
                break;
            }
            cut++;
            left--;
        }
        Next.Push(text[cut..], begins);
    }
}

internal sealed class FuseStage : DecoderStage
{
    private bool started;

    public override void Push(string text, bool begins)
    {
        Next.Push(text, begins: !started);
        started = true;
    }

    public override void Flush()
    {
        started = false;
        base.Flush();
    }
}

/// <summary>Holds a fused token back until it is complete, for stages that need whole tokens.</summary>
internal sealed class GatherStage : DecoderStage
{
    private readonly StringBuilder text = new();

    public override void Push(string text, bool begins) => this.text.Append(text);

    public override void Flush()
    {
        if (text.Length > 0)
            Next.Push(text.ToString(), begins: true);
        text.Clear();
        base.Flush();
    }
}

internal sealed class CollectStage : DecoderStage
{
    private readonly StringBuilder text = new();

    public override void Push(string text, bool begins) => this.text.Append(text);

    public override void Flush() { }

    public string Take()
    {
        var result = text.ToString();
        text.Clear();
        return result;
    }
}
