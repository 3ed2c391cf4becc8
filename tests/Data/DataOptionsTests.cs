using System.Text.Json;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests;

public sealed class DataOptionsTests
{
    [Theory]
    [InlineData("""{}""", "path: is missing; name a file, a folder or a glob, or set format to \"dotnet-docs\" for the documentation of the installed .NET SDK")]
    [InlineData("""{"path":" "}""", "path: is missing; name a file, a folder or a glob, or set format to \"dotnet-docs\" for the documentation of the installed .NET SDK")]
    [InlineData("""{"path":"a.txt","format":"dotnet-docs"}""", "path: is \"a.txt\", but format dotnet-docs brings its own text; remove path, or set format to \"text\"")]
    [InlineData("""{"path":"a.txt","weight":0}""", "weight: is 0, but must be above 0; leave the source out to read nothing of it")]
    [InlineData("""{"path":"a.txt","format":"text","column":"body"}""", "column: is \"body\", but format text has no columns; remove column, or set format to \"jsonl\" or \"parquet\"")]
    [InlineData("""{"path":"a.jsonl","column":""}""", "column: is empty; name the field or column that holds the text, or leave it out for \"text\"")]
    [InlineData("""{"path":"a.jsonl","language":"de"}""", "language: is \"de\", but only format dotnet-translations has languages; remove language")]
    [InlineData("""{"path":"a.jsonl","split":"validation"}""", "split: is set, but only the formats dotnet-translations, dotnet-metadata and synthetic come divided; remove split, and name validation texts in data.validation")]
    [InlineData("""{"path":"a.jsonl","targetColumn":"text"}""", "targetColumn: is \"text\", the same as column; name the one that holds the text to write")]
    [InlineData("""{"path":"a.txt","format":"text","targetColumn":"de"}""", "targetColumn: is \"de\", but format text has no such column; name targetPath for two text files, or set format to \"jsonl\" or \"parquet\"")]
    [InlineData("""{"path":"a.txt","targetPath":"b.txt","targetColumn":"de"}""", "targetPath: is \"b.txt\", but only two text files stand side by side; remove it, or remove targetColumn")]
    [InlineData("""{"path":"a.txt","task":{"type":"copy"}}""", "task: is set, but only format synthetic has tasks; remove task, or set format to \"synthetic\"")]
    [InlineData("""{"path":"a.txt","examples":5}""", "examples: is 5, but only the formats synthetic and dotnet-docs-preferences make examples; remove examples")]
    [InlineData("""{"path":"a.txt","seed":5}""", "seed: is 5, but only format synthetic draws its text; remove seed")]
    [InlineData("""{"format":"synthetic"}""", "task: is missing; format synthetic needs one, such as {\"type\": \"copy\", \"length\": 32}")]
    [InlineData("""{"format":"synthetic","task":{"type":"copy"},"examples":0}""", "examples: is 0, but must be 1 or more")]
    [InlineData("""{"format":"synthetic","task":{"type":"copy"},"column":"a"}""", "column: is \"a\", but format synthetic has no columns; remove column, or set format to \"jsonl\" or \"parquet\"")]
    [InlineData("""{"format":"dotnet-translations"}""", "language: is missing; format dotnet-translations has English with cs, de, es, fr, it, ja, ko, pl, pt-BR, ru, tr, zh-Hans, zh-Hant")]
    [InlineData("""{"format":"dotnet-translations","language":"de","column":"text"}""", "column: is \"text\"; format dotnet-translations has the columns source (English) and target")]
    public void A_source_that_contradicts_itself_says_so(string json, string problem) =>
        Assert.Equal([problem], Parse<SourceOptions>(json).Validate().Select(found => $"{found.Path}: {found.Message}"));

    [Theory]
    [InlineData("""{"train":[{"path":"a.txt"}]}""", new string[0])]
    [InlineData("""{"train":[{"format":"dotnet-docs"}],"validation":[{"path":"a.txt"}]}""", new string[0])]
    [InlineData("""{"train":[{"path":"a/*.parquet","format":"parquet","column":"body","weight":2},{"format":"dotnet-translations","language":"de","split":"train"}]}""", new string[0])]
    [InlineData("""{"train":[],"validation":[]}""", new[] { "train", "validation" })]
    public void Lists_have_at_least_one_text(string json, string[] paths) =>
        Assert.Equal(paths, Parse<DataOptions>(json).Validate().Select(found => found.Path));

    [Theory]
    [InlineData("""{"train":[{"format":"dotnet-translations","language":"de"}],"packing":"pairs","shiftWindows":false}""", "shiftWindows: is set, but no row of this data is cut out of a longer text: rows are whole pairs; remove it")]
    [InlineData("""{"train":[{"path":"a.txt"}],"packing":"documents","objective":"masked"}""", "packing: is \"documents\", but objective \"masked\" makes rows in its own way; remove packing, or set objective to \"causal\"")]
    [InlineData("""{"train":[{"path":"a.txt"}],"endOfDocument":""}""", "endOfDocument: is empty; name a token such as <|endoftext|>, or set it to \"none\"")]
    [InlineData("""{"train":[{"format":"dotnet-translations","language":"de"}],"objective":"sequence-to-sequence","endOfDocument":"</s>"}""", "endOfDocument: is \"</s>\", but objective \"sequence-to-sequence\" ends every text, with the tokenizer's own token; remove endOfDocument")]
    [InlineData("""{"train":[{"path":"a.txt"}],"decoderStartToken":"</s>"}""", "decoderStartToken: is \"</s>\", but objective \"causal\" has no decoder beside an encoder; remove decoderStartToken, or set objective to \"sequence-to-sequence\"")]
    [InlineData("""{"train":[{"format":"dotnet-translations","language":"de"}],"objective":"sequence-to-sequence","forcedBosToken":""}""", "forcedBosToken: is empty; name a token of the tokenizer, such as </s>, or leave it out")]
    [InlineData("""{"train":[{"path":"a.txt"}],"masking":{}}""", "masking: is set, but objective \"causal\" hides no tokens; remove masking, or set objective to \"masked\"")]
    [InlineData("""{"train":[{"path":"a.txt"}],"validation":[{"path":"b.txt","weight":2}]}""", "validation.0.weight: is set, but validation texts are measured by their sizes; remove it")]
    [InlineData("""{"train":[{"path":"a.jsonl","targetColumn":"de"}]}""", "train.0.targetColumn: is \"de\", but objective \"causal\" reads one text; remove it, or set objective to \"sequence-to-sequence\" or packing to \"pairs\"")]
    [InlineData("""{"train":[{"path":"a.jsonl"}],"objective":"sequence-to-sequence"}""", "train.0: has one text, but objective \"sequence-to-sequence\" needs pairs; name targetColumn (jsonl, parquet), or targetPath (text, line by line), or use format \"dotnet-translations\" or \"synthetic\"")]
    [InlineData("""{"train":[{"path":"a.jsonl"}],"packing":"pairs"}""", "train.0: has one text, but packing \"pairs\" needs pairs; name targetColumn (jsonl, parquet), or targetPath (text, line by line), or use format \"dotnet-translations\" or \"synthetic\"")]
    [InlineData("""{"train":[{"format":"synthetic","task":{"type":"copy"}}]}""", "validation: is missing, but the end of random examples (train.0) may repeat what stands before it; name the same source with \"split\": \"validation\"")]
    [InlineData("""{"train":[{"path":"a.txt"}],"validation":[{"format":"synthetic","task":{"type":"copy"}}]}""", "validation.0.split: must be \"validation\", so that no prompt is also trained on")]
    [InlineData("""{"train":[{"format":"synthetic","task":{"type":"copy"},"split":"validation"}],"validation":[{"path":"a.txt"}]}""", "train.0.split: is \"validation\", whose prompts are kept for data.validation; remove it")]
    public void What_the_objective_does_not_use_or_lacks_is_said(string json, string problem) =>
        Assert.Equal([problem], Parse<DataOptions>(json).Validate().Select(found => $"{found.Path}: {found.Message}"));

    [Theory]
    [InlineData("""{"path":"a.txt","targetPath":"b.txt"}""")]
    [InlineData("""{"path":"a.jsonl","column":"en","targetColumn":"de"}""")]
    [InlineData("""{"path":"a.jsonl","targetColumn":"de"}""")]
    [InlineData("""{"format":"dotnet-translations","language":"de"}""")]
    [InlineData("""{"format":"dotnet-translations","language":"de","targetColumn":"source"}""")]
    [InlineData("""{"format":"synthetic","task":{"type":"copy"}}""")]
    public void Pairs_come_from_columns_files_translations_and_tasks(string source)
    {
        Assert.Empty(Parse<SourceOptions>(source).Validate());
        foreach (var rows in (string[])["\"objective\":\"sequence-to-sequence\"", "\"packing\":\"pairs\""])
            Assert.Empty(Parse<DataOptions>($$"""{"train":[{{source}}],"validation":[{"format":"synthetic","task":{"type":"copy"},"split":"validation"}],{{rows}}}""").Validate());
    }

    [Theory]
    [InlineData("""{"type":"byte"}""", typeof(ByteTokenizerOptions))]
    [InlineData("""{"type":"character"}""", typeof(CharacterTokenizerOptions))]
    public void The_type_chooses_the_tokenizer(string json, Type type)
    {
        var options = Parse<TokenizerOptions>(json);
        Assert.IsType(type, options);
        Assert.Equal(json, JsonSerializer.Serialize(options));
    }

    private static T Parse<T>(string json) => JsonSerializer.Deserialize<T>(json, JsonSerializerOptions.Web)!;
}
