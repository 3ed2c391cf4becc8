namespace Trainer.Data.HuggingFace;

/// <summary>Builds chains of decoder stages from their descriptions: one line registers each kind.</summary>
internal static class Decoders
{
    /// <summary>The stages of a decoder, without those that it is made of.</summary>
    /// <param name="part">The description, or null for the default, which puts spaces between tokens.</param>
    public static IReadOnlyList<Part?> Flatten(Part? part) =>
        part?.Text("type") == "Sequence" ? [.. part.Sections("decoders").SelectMany(Flatten)] : [part];

    /// <summary>A chain of stages that ends in <paramref name="end"/>.</summary>
    public static DecoderStage Create(IReadOnlyList<Part?> parts, DecoderStage end)
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

    private static DecoderStage Create(Part? part, DecoderStage next)
    {
        DecoderStage Tokens(Func<string, bool, string> rewrite) => new TokenStage(rewrite) { Next = next };
        return part?.Text("type") switch
        {
            null => Tokens((token, first) => first ? token : " " + token),
            "ByteLevel" => new ByteLevelStage { Next = next },
            "WordPiece" => Tokens(WordPiece(part.OptionalText("prefix") ?? "##", part.Flag("cleanup", true))),
            "Metaspace" => Tokens(Metaspace(part)),
            "BPEDecoder" => new SuffixStage(part.OptionalText("suffix") ?? "</w>") { Next = next },
            "ByteFallback" => new ByteFallbackStage { Next = next },
            "Fuse" => new FuseStage { Next = next },
            "Strip" => Strip(part, next),
            "Replace" => Tokens(Replace(part)),
            var type => throw part.Unsupported($"the decoder {type}"),
        };
    }

    private static Func<string, bool, string> WordPiece(string prefix, bool cleanup) => (token, first) =>
    {
        var text = first ? token : token.StartsWith(prefix, StringComparison.Ordinal) ? token[prefix.Length..] : " " + token;
        return cleanup ? CleanUp(text) : text;
    };

    /// <summary>English spacing, token by token, as BERT's decoder has always done it.</summary>
    private static string CleanUp(string text) => text.Contains(' ')
        ? text.Replace(" .", ".").Replace(" ?", "?").Replace(" !", "!").Replace(" ,", ",").Replace(" ' ", "'").Replace(" n't", "n't")
            .Replace(" 'm", "'m").Replace(" do not", " don't").Replace(" 's", "'s").Replace(" 've", "'ve").Replace(" 're", "'re")
        : text;

    private static Func<string, bool, string> Metaspace(Part part)
    {
        var replacement = part.Character("replacement", "\u2581");
        var prepended = PrependSchemes.Of(part) != PrependScheme.Never;
        return (token, first) => token.Replace(replacement, first && prepended ? "" : " ", StringComparison.Ordinal);
    }

    private static Func<string, bool, string> Replace(Part part)
    {
        var normalizer = ReplaceNormalizer.Of(TextPattern.Of(part), part.Text("content"));
        return (token, _) => normalizer.Apply(token);
    }

    private static DecoderStage Strip(Part part, DecoderStage next)
    {
        var content = part.Character("content", null);
        var (start, stop) = (part.Count("start", 0), part.Count("stop", 0));
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
