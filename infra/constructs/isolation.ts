import { Fn } from 'aws-cdk-lib';
import {
  GatewayVpcEndpoint,
  GatewayVpcEndpointAwsService,
  InterfaceVpcEndpoint,
  InterfaceVpcEndpointAwsService,
  type ISecurityGroup,
  type IVpc,
  Peer,
  Port,
  SecurityGroup,
  type SubnetSelection,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { CfnDBSubnetGroup } from 'aws-cdk-lib/aws-rds';
import { Construct } from 'constructs';
import type { SupplierConfiguration } from '../config/configuration.ts';

const HTTPS = Port.tcp(443);

/**
 * Where Daybreak meets PostgreSQL. The reader reaches the live databases and S3. The verifier reaches restored databases,
 * S3 and KMS. A restored database is reached by the verifier alone, and from it nothing goes out.
 */
export class Isolation extends Construct {
  static readonly SUBNET_GROUP_NAME = 'daybreak-restore-test';
  readonly vpc: IVpc;
  readonly vpcSubnets: SubnetSelection;
  /** Of the functions that read live databases. */
  readonly reader: SecurityGroup;
  /** Of the functions that read restored databases. */
  readonly verifier: SecurityGroup;
  readonly restored: SecurityGroup;
  /** Where KMS answers inside the VPC; undefined where its usual name leads there. */
  readonly kmsUrl: string | undefined;

  /** @param endpointStatement what an endpoint that is made here lets through. */
  constructor(
    scope: Construct,
    id: string,
    { network, databases }: SupplierConfiguration,
    endpointStatement: (service: 's3' | 'kms') => PolicyStatement,
  ) {
    super(scope, id);
    const { isolatedSubnets } = network;
    this.vpc = Vpc.fromVpcAttributes(this, 'Vpc', {
      vpcId: network.vpcId,
      availabilityZones: isolatedSubnets.map(({ availabilityZone }) => availabilityZone),
      isolatedSubnetIds: isolatedSubnets.map(({ subnetId }) => subnetId),
      isolatedSubnetRouteTableIds: isolatedSubnets.map(({ routeTableId }) => routeTableId),
    });
    this.vpcSubnets = { subnets: this.vpc.isolatedSubnets };
    const group = (groupId: string, description: string) =>
      new SecurityGroup(this, groupId, { vpc: this.vpc, description, allowAllOutbound: false });
    this.reader = group('Reader', 'Daybreak functions that read live databases');
    this.verifier = group('Verifier', 'Daybreak functions that read restored databases');
    this.restored = group('Restored', 'Databases restored by Daybreak');

    for (const functions of [this.reader, this.verifier]) {
      functions.addEgressRule(Peer.prefixList(network.s3PrefixListId), HTTPS, 'S3');
    }
    // Databases of one instance, and instances of one group, are let into once: EC2 refuses the same rule twice.
    const doors = new Map(databases.map(database => [`${database.securityGroupId} ${database.port}`, database]));
    for (const { id: databaseId, securityGroupId, port } of doors.values()) {
      const database = SecurityGroup.fromSecurityGroupId(this, `Database-${databaseId}`, securityGroupId);
      this.reader.addEgressRule(database, Port.tcp(port), `database ${databaseId}`);
      database.addIngressRule(this.reader, Port.tcp(port), 'Daybreak reader', true);
    }
    for (const port of new Set(databases.map(database => database.port))) {
      this.verifier.addEgressRule(this.restored, Port.tcp(port), 'restored databases');
      this.restored.addIngressRule(this.verifier, Port.tcp(port), 'Daybreak verifier');
    }
    if (!network.hasS3Endpoint) {
      const endpoint = new GatewayVpcEndpoint(this, 'S3', {
        vpc: this.vpc,
        service: GatewayVpcEndpointAwsService.S3,
        subnets: [this.vpcSubnets],
      });
      endpoint.addToPolicy(endpointStatement('s3'));
    }
    const kms = this.#findKmsEndpoint(network.kmsEndpointSecurityGroupId, endpointStatement);
    // The reader asks KMS for nothing itself: S3 does, on its behalf.
    this.verifier.addEgressRule(kms.group, HTTPS, 'KMS');
    kms.group.addIngressRule(this.verifier, HTTPS, 'Daybreak verifier', true);
    this.kmsUrl = kms.url;
    new CfnDBSubnetGroup(this, 'Subnets', {
      dbSubnetGroupName: Isolation.SUBNET_GROUP_NAME,
      dbSubnetGroupDescription: 'Where Daybreak restores databases: subnets without a way out',
      subnetIds: isolatedSubnets.map(({ subnetId }) => subnetId),
    });
  }

  #findKmsEndpoint(
    existing: string | null,
    endpointStatement: (service: 'kms') => PolicyStatement,
  ): { group: ISecurityGroup; url: string | undefined } {
    if (existing !== null) {
      return { group: SecurityGroup.fromSecurityGroupId(this, 'KmsGroup', existing), url: undefined };
    }
    const group = new SecurityGroup(this, 'KmsGroup', {
      vpc: this.vpc,
      description: 'The KMS endpoint that Daybreak functions use',
      allowAllOutbound: false,
    });
    const endpoint = new InterfaceVpcEndpoint(this, 'Kms', {
      vpc: this.vpc,
      service: InterfaceVpcEndpointAwsService.KMS,
      subnets: this.vpcSubnets,
      securityGroups: [group],
      // A private name would lead everybody in the VPC to this endpoint, which lets nobody else in.
      // https://docs.aws.amazon.com/vpc/latest/privatelink/privatelink-access-aws-services.html#interface-endpoint-private-dns
      privateDnsEnabled: false,
      open: false,
    });
    endpoint.addToPolicy(endpointStatement('kms'));
    // The first entry is the name for the whole Region, as "<hosted zone>:<name>".
    // https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-vpcendpoint.html
    const name = Fn.select(1, Fn.split(':', Fn.select(0, endpoint.vpcEndpointDnsEntries)));
    return { group, url: `https://${name}` };
  }
}
