using System.Text.Json;
using Tokenizers.DotNet;

// What Hugging Face's own library makes of texts: for each line of a file, a JSON string, a line with the array of its token ids and the
// text that these decode to; null where it refuses the text.
using var tokenizer = new Tokenizer(args[0]);
foreach (var line in File.ReadLines(args[1]))
{
    try
    {
        var ids = tokenizer.Encode(JsonSerializer.Deserialize<string>(line)!);
        Console.WriteLine(JsonSerializer.Serialize(new { ids, text = tokenizer.Decode(ids) }));
    }
    catch (TokenizerException)
    {
        Console.WriteLine("null");
    }
}
