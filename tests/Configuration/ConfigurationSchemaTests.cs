using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Trainer.Configuration.Tests;

public sealed class ConfigurationSchemaTests
{
    public sealed record Root
    {
        [Description("A list of parts.")]
        [MinLength(1)]
        public required IReadOnlyList<Part> Parts { get; init; }

        public IReadOnlyDictionary<string, Part> Named { get; init; } = new Dictionary<string, Part>();

        [Description("One of several.")]
        public Choice Choice { get; init; } = new Square();

        [AllowedValues("a", "b")]
        public string? Letter { get; init; }

        public int Computed => 1;
    }

    public sealed record Part
    {
        [Description("How large.")]
        [Range(1, 8)]
        public required int Size { get; init; }

        public Choice Shape { get; init; } = new Circle();
    }

    [JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
    [JsonDerivedType(typeof(Square), "square")]
    [JsonDerivedType(typeof(Circle), "circle")]
    public abstract record Choice
    {
        [Range(0.0, double.PositiveInfinity, MinimumIsExclusive = true)]
        public double Scale { get; init; } = 0.5;
    }

    public sealed record Square : Choice;

    public sealed record Circle : Choice
    {
        public SampleFormat Format { get; init; } = SampleFormat.DotnetDocs;
    }

    [Fact]
    public void The_schema_of_a_small_hierarchy()
    {
        var schema = ConfigurationSchema.Create<Root>();

        Assert.Equal("""
            {
              "$schema": "https://json-schema.org/draft/2020-12/schema",
              "type": "object",
              "properties": {
                "$schema": {
                  "type": "string",
                  "description": "The JSON schema of this file, for editors."
                },
                "extends": {
                  "type": "string",
                  "description": "The file this one builds on, relative to this one."
                },
                "parts": {
                  "description": "A list of parts.",
                  "type": "array",
                  "items": {
                    "type": "object",
                    "properties": {
                      "size": {
                        "description": "How large.",
                        "type": "integer",
                        "minimum": 1,
                        "maximum": 8
                      },
                      "shape": {
                        "type": "object",
                        "anyOf": [
                          {
                            "properties": {
                              "type": {
                                "const": "square"
                              },
                              "scale": {
                                "type": "number",
                                "exclusiveMinimum": 0,
                                "default": 0.5
                              }
                            },
                            "additionalProperties": false
                          },
                          {
                            "properties": {
                              "type": {
                                "const": "circle"
                              },
                              "scale": {
                                "type": "number",
                                "exclusiveMinimum": 0,
                                "default": 0.5
                              },
                              "format": {
                                "enum": [
                                  "text",
                                  "dotnet-docs",
                                  "jsonLines"
                                ],
                                "default": "dotnet-docs"
                              }
                            },
                            "additionalProperties": false
                          }
                        ]
                      }
                    },
                    "required": [
                      "size"
                    ],
                    "additionalProperties": false
                  },
                  "minItems": 1
                },
            """, schema.ToString()[..schema.ToString().IndexOf("\n    \"named\"", StringComparison.Ordinal)]);
    }

    [Fact]
    public void A_recipe_that_leaves_things_to_its_base_is_not_flagged()
    {
        var schema = ConfigurationSchema.Create<Root>();

        Assert.Null(schema["required"]);
        Assert.Equal("integer", (string?)schema["properties"]!["named"]!["additionalProperties"]!["properties"]!["size"]!["type"]);
        Assert.Null(schema["properties"]!["named"]!["additionalProperties"]!["required"]);
        Assert.Null(schema["properties"]!["choice"]!["required"]);
        Assert.Equal(["parts"], Requiring(schema, "$").Select(path => path.Split('/')[2]).Distinct());
    }

    [Fact]
    public void Unknown_keys_are_flagged_at_every_depth()
    {
        var open = Objects(ConfigurationSchema.Create<SampleRecipe>()).Where(
            schema => schema["properties"] is not null && schema["additionalProperties"] is null);

        Assert.Empty(open);
    }

    [Fact]
    public void Everything_that_is_described_in_code_is_described_for_the_editor()
    {
        var schema = ConfigurationSchema.Create<SampleRecipe>();

        var described = Objects(schema).Select(node => node["description"]).OfType<JsonValue>().Select(text => (string?)text);

        Assert.Superset(new HashSet<string?> { "The model.", "Heads.", "How order enters.", "Files to train on.", "Momentum.", "How far." },
            described.ToHashSet());
    }

    [Fact]
    public void Allowed_values_are_listed_and_computed_properties_left_out()
    {
        var properties = ConfigurationSchema.Create<Root>()["properties"]!.AsObject();

        Assert.Equal("""["a","b",null]""", properties["letter"]!["enum"]!.ToJsonString());
        Assert.False(properties.ContainsKey("computed"));
        Assert.Equal("One of several.", (string?)properties["choice"]!["description"]);
    }

    [Fact]
    public void A_closed_hierarchy_at_the_root_takes_extends_in_every_variant()
    {
        var variants = ConfigurationSchema.Create<SamplePosition>()["anyOf"]!.AsArray();

        Assert.Equal(3, variants.Count);
        Assert.All(variants, variant => Assert.NotNull(variant!["properties"]!["extends"]));
        Assert.Equal(["none", "rotary", "learned"], variants.Select(variant => (string?)variant!["properties"]!["type"]!["const"]));
    }

    private static IEnumerable<JsonObject> Objects(JsonNode? node) => node switch
    {
        JsonObject schema => schema.SelectMany(member => Objects(member.Value)).Prepend(schema),
        JsonArray list => list.SelectMany(Objects),
        _ => [],
    };

    private static IEnumerable<string> Requiring(JsonNode? node, string path) => node switch
    {
        JsonObject schema => schema.SelectMany(member => Requiring(member.Value, $"{path}/{member.Key}"))
            .Concat(schema["required"] is JsonArray ? [path] : []),
        JsonArray list => list.SelectMany(item => Requiring(item, path)),
        _ => [],
    };
}
