using System.Text.Json.Nodes;

namespace Trainer.Data.Tokenizers.HuggingFace;

internal abstract class PostProcessor
{
    public virtual bool Adds => true;

    public virtual SpecialTokenTemplate Template => SpecialTokenTemplate.Empty;

    public abstract int[] Apply(int[] first, int[]? second);
}

/// <summary>Builds post-processors from their JSON; add new kinds here.</summary>
internal static class PostProcessorReader
{
    public static PostProcessor Read(JsonSection? section) => section?.Text("type") switch
    {
        null or "ByteLevel" => new PlainProcessor(),
        "TemplateProcessing" => Template(section),
        "BertProcessing" => Bert(section, separators: 1),
        "RobertaProcessing" => Bert(section, separators: 2),
        "Sequence" => Sequence(section),
        var type => throw section.Unsupported($"the post-processor {type}"),
    };

    private static PostProcessor Sequence(JsonSection section)
    {
        PostProcessor[] processors = [.. section.Sections("processors").Select(Read).Where(processor => processor.Adds)];
        return processors.Length > 1
            ? throw section.Unsupported("a sequence of several post-processors that add tokens")
            : processors.FirstOrDefault() ?? new PlainProcessor();
    }

    /// <summary>BERT: [CLS] A [SEP] B [SEP]; RoBERTa has two separators between A and B.</summary>
    private static TemplateProcessor Bert(JsonSection section, int separators)
    {
        var (start, end) = (TemplateItem.Special(NamedId(section, "cls")), TemplateItem.Special(NamedId(section, "sep")));
        TemplateItem[] single = [start, TemplateItem.First, end];
        return new TemplateProcessor(single, [.. single, .. Enumerable.Repeat(end, separators - 1), TemplateItem.Second, end]);
    }

    /// <summary>The id in ["[SEP]", 102].</summary>
    private static int NamedId(JsonSection section, string key) =>
        section.Content[key] is JsonArray { Count: 2 } pair && pair[1] is JsonValue value && value.TryGetValue<int>(out var id) && id >= 0
            ? id
            : throw section.Damaged($"{key} must be [token, id]");

    private static TemplateProcessor Template(JsonSection section)
    {
        var special = section.OptionalSection("special_tokens");
        return new TemplateProcessor(
            [.. section.Sections("single").Select(item => Item(item, special))],
            [.. section.Sections("pair").Select(item => Item(item, special))]);
    }

    private static TemplateItem Item(JsonSection item, JsonSection? special)
    {
        if (item.OptionalSection("Sequence") is { } sequence)
            return sequence.Text("id") switch
            {
                "A" => TemplateItem.First,
                "B" => TemplateItem.Second,
                var id => throw sequence.Damaged($"there is no sequence {id}, only A and B"),
            };
        var name = item.Section("SpecialToken").Text("id");
        var token = special?.OptionalSection(name) ?? throw item.Damaged($"special_tokens lacks {name}");
        return TemplateItem.Special([.. token.List("ids").Select(node =>
            node is JsonValue value && value.TryGetValue<int>(out var id) && id >= 0
                ? id
                : throw token.Damaged("ids must be numbers from 0 on"))]);
    }
}

/// <summary>Adds nothing; ByteLevel processes only offsets.</summary>
internal sealed class PlainProcessor : PostProcessor
{
    public override bool Adds => false;

    public override int[] Apply(int[] first, int[]? second) => [.. first, .. second ?? []];
}

internal sealed class TemplateProcessor(IReadOnlyList<TemplateItem> single, IReadOnlyList<TemplateItem> pair) : PostProcessor
{
    public override SpecialTokenTemplate Template =>
        new(Tokens(single.TakeWhile(item => item.Sequence < 0)), Tokens(single.Reverse().TakeWhile(item => item.Sequence < 0).Reverse()));

    public override int[] Apply(int[] first, int[]? second)
    {
        var result = new List<int>(first.Length + (second?.Length ?? 0) + 4);
        foreach (var item in second is null ? single : pair)
            result.AddRange(item.Sequence switch
            {
                0 => first,
                1 => second ?? [],
                _ => item.Ids,
            });
        return [.. result];
    }

    private static int[] Tokens(IEnumerable<TemplateItem> items) => [.. items.SelectMany(item => item.Ids)];
}

/// <summary>One item of a template: the first (0) or second (1) sequence, or special tokens (−1).</summary>
internal sealed record TemplateItem(int Sequence, int[] Ids)
{
    public static TemplateItem First { get; } = new(0, []);

    public static TemplateItem Second { get; } = new(1, []);

    public static TemplateItem Special(params int[] ids) => new(-1, ids);
}
