using System.CommandLine;
using System.Text;
using Trainer.Configuration;
using Trainer.Training;

namespace Trainer.Cli;

/// <summary>Editors complete and check recipes with this schema, which the build writes to configs/.</summary>
internal static class SchemaCommand
{
    internal static Command Create()
    {
        var output = new Option<string?>("--output") { Description = "The file to write; standard output if not given." };
        var command = new Command("schema", "Prints the JSON schema of recipes, for editors.") { output };
        command.SetAction(parsed => Write(parsed.GetValue(output)));
        return command;
    }

    private static int Write(string? output)
    {
        var schema = ConfigurationSchema.Create<Recipe>().ToJsonString(new System.Text.Json.JsonSerializerOptions { WriteIndented = true });
        if (output is null) Console.WriteLine(schema);
        else File.WriteAllText(output, schema + "\n", new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
        return ExitCode.Done;
    }
}
