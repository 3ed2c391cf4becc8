using System.Text.Json.Nodes;

namespace Trainer.Data.HuggingFace;

/// <summary>Builds post-processors from their descriptions: one line registers each kind.</summary>
internal static class PostProcessors
{
    public static PostProcessor Create(Part? part) => part?.Text("type") switch
    {
        null or "ByteLevel" => new PlainProcessor(),
        "TemplateProcessing" => Template(part),
        "BertProcessing" => Bert(part, separators: 1),
        "RobertaProcessing" => Bert(part, separators: 2),
        "Sequence" => Sequence(part),
        var type => throw part.Unsupported($"the post-processor {type}"),
    };

    private static PostProcessor Sequence(Part part)
    {
        PostProcessor[] processors = [.. part.Sections("processors").Select(Create).Where(processor => processor.Adds)];
        return processors.Length > 1
            ? throw part.Unsupported("a sequence of several post-processors that add tokens")
            : processors.FirstOrDefault() ?? new PlainProcessor();
    }

    /// <summary>BERT: class A separator, and B separator; RoBERTa has two separators between A and B.</summary>
    private static TemplateProcessor Bert(Part part, int separators)
    {
        var (start, end) = (TemplateItem.Special(NamedId(part, "cls")), TemplateItem.Special(NamedId(part, "sep")));
        TemplateItem[] single = [start, TemplateItem.First, end];
        return new TemplateProcessor(single, [.. single, .. Enumerable.Repeat(end, separators - 1), TemplateItem.Second, end]);
    }

    /// <summary>The id of ["[SEP]", 102].</summary>
    private static int NamedId(Part part, string key) =>
        part.Content[key] is JsonArray { Count: 2 } pair && pair[1] is JsonValue value && value.TryGetValue<int>(out var id) && id >= 0
            ? id
            : throw part.Damaged($"{key} must be [token, id]");

    private static TemplateProcessor Template(Part part)
    {
        var special = part.OptionalSection("special_tokens");
        return new TemplateProcessor(
            [.. part.Sections("single").Select(item => Item(item, special))], [.. part.Sections("pair").Select(item => Item(item, special))]);
    }

    private static TemplateItem Item(Part item, Part? special)
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
            node is JsonValue value && value.TryGetValue<int>(out var id) && id >= 0 ? id : throw token.Damaged("ids must be numbers from 0 on"))]);
    }
}
