using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Tokenizers.HuggingFace;

internal sealed class TokenizerPipeline
{
    private readonly PreTokenizer[] splitters;
    private readonly IReadOnlyList<JsonSection?> decoders;

    public TokenizerPipeline(JsonSection root)
    {
        Normalizer = root.OptionalSection("normalizer") is { } normalizer ? NormalizerReader.Read(normalizer) : null;
        splitters = root.OptionalSection("pre_tokenizer") is { } splitter ? [.. PreTokenizerReader.Read(splitter).Parts] : [];
        if (splitters.SkipWhile(part => part is not (MetaspaceSplit or ByteLevelSplit)).Skip(1)
            .Any(part => part is MetaspaceSplit { DependsOnStart: true }))
            throw root.Section("pre_tokenizer").Unsupported("Metaspace with the prepend_scheme first after a part that rewrites the text");
        Model = ModelReader.Read(root.Section("model"));
        PostProcessor = PostProcessorReader.Read(root.OptionalSection("post_processor"));
        decoders = DecoderReader.Flatten(root.OptionalSection("decoder"));
        DecoderReader.Create(decoders, new CollectStage());   // fails early on unsupported decoders
        Added = new AddedVocabulary(root.Has("added_tokens") ? root.Sections("added_tokens").Select(AddedToken.Of) : [], Model, Normalizer);
        DependsOnStart = splitters.Any(part => part is MetaspaceSplit { DependsOnStart: true });
        ReadsBytes = Model.ReadsBytes && splitters.LastOrDefault() is ByteLevelSplit;
        Tokens = [.. Enumerable.Range(0, Math.Max(Model.Tokens.Count, Added.Largest + 1)).Select(Token)];
    }

    public Normalizer? Normalizer { get; }

    public Model Model { get; }

    public PostProcessor PostProcessor { get; }

    public AddedVocabulary Added { get; }

    public IReadOnlyList<string?> Tokens { get; }

    public bool DependsOnStart { get; }

    /// <summary>Whether the model reads bytes, so that any bytes can be encoded.</summary>
    public bool ReadsBytes { get; }

    /// <summary>Whether tokens stand for fixed bytes, regardless of context.</summary>
    public bool WritesBytes => decoders is [{ } only] && only.Text("type") == "ByteLevel";

    public PipelineEncoder CreateEncoder()
    {
        var encoder = Model.CreateEncoder(ReadsBytes);
        PieceSink chain = encoder;
        for (var i = splitters.Length - 1; i >= 0; i--)
            chain = (ReadsBytes && i == splitters.Length - 1 ? ((ByteLevelSplit)splitters[i]).WithoutSymbols : splitters[i]).Before(chain);
        return new PipelineEncoder(this, encoder, chain);
    }

    public DecoderStage CreateDecoder(CollectStage end) => DecoderReader.Create(decoders, end);

    public byte? FallbackByte(string token) =>
        decoders.Any(decoder => decoder?.Text("type") == "ByteFallback") ? ByteFallbackStage.Byte(token) : null;

    private string? Token(int id) =>
        Added.Tokens.TryGetValue(id, out var added) ? added.Sought : id < Model.Tokens.Count ? Model.Tokens[id] : null;
}

/// <summary>Not thread-safe.</summary>
internal sealed class PipelineEncoder(TokenizerPipeline pipeline, ModelEncoder encoder, PieceSink chain)
{
    public IdBuffer Output => encoder.Output;

    public void Encode(ReadOnlySpan<char> text) => Encode(text, atStart: true, pipeline.Added.Plain, pipeline.Added.Normalized);

    /// <summary>Encodes a text, or one that follows another, in which special tokens are only text.</summary>
    public void EncodeOrdinary(ReadOnlySpan<char> text, bool atStart) =>
        Encode(text, atStart, pipeline.Added.PlainOrdinary, pipeline.Added.NormalizedOrdinary);

    private void Encode(ReadOnlySpan<char> text, bool atStart, AddedTokenMatcher? plain, AddedTokenMatcher? normalized)
    {
        encoder.Position = 0;
        if (text.IsEmpty)
            return;
        if (plain is null || !plain.IsIn(text))
        {
            EncodePlain(text, atStart, normalized);
            return;
        }
        foreach (var (start, end, token) in plain.Split(text))
        {
            encoder.Position = start;
            if (token is null)
                EncodePlain(text[start..end], atStart && start == 0, normalized);
            else
                Output.Add(token.Id);
        }
    }

    public void EncodeBytes(ReadOnlySpan<byte> bytes) => ((ByteBpeEncoder)encoder).Tokenize(bytes);

    private void EncodePlain(ReadOnlySpan<char> text, bool atStart, AddedTokenMatcher? added)
    {
        if (pipeline.Normalizer is { } normalizer)
        {
            var original = text.ToString();
            var normalized = normalizer.Apply(original);
            EncodeNormalized(normalized, atStart && (!pipeline.DependsOnStart || KeepsStart(normalizer, original)),
                added);
        }
        else
            EncodeNormalized(text, atStart, added);
    }

    /// <summary>Whether the first character survives normalization; if not, what remains does not begin the text.</summary>
    private static bool KeepsStart(Normalizer normalizer, string original)
    {
        const string Other = "a";
        return normalizer.Apply(original[..CodePoints.Units(original, 1)] + Other) != normalizer.Apply(Other);
    }

    private void EncodeNormalized(ReadOnlySpan<char> text, bool atStart, AddedTokenMatcher? matcher)
    {
        if (text.IsEmpty)
            return;
        if (matcher is null || !matcher.IsIn(text))
        {
            chain.Accept(text, atStart);
            return;
        }
        foreach (var (start, end, token) in matcher.Split(text))
            if (token is null)
                chain.Accept(text[start..end], atStart && start == 0);
            else
                Output.Add(token.Id);
    }
}
